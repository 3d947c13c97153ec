"""Where a model runs: on a GPU where torch can use one, else on the processor. Importing it loads no torch."""


def may_use_gpu(device: str | None) -> bool:
    """Tell whether a `device` setting lets a model run on a GPU that a cluster hands out: null does, cpu and mps do not."""
    return device is None or device.startswith("cuda")


def chosen_device(device: str | None) -> str:
    """Give the device that is asked for; null takes a GPU where torch can use one."""
    import torch

    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def no_gpu_because() -> str | None:
    """Say why torch can use no GPU in this process; None where it can."""
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__}, which is installed here, is a build for processors"
    return None if torch.cuda.is_available() else f"torch {torch.__version__} finds no GPU that it can use"
