"""Low-rank adapters beside the linear layers of a model: what is trained where the model itself stays as it is.

A layer of weight W then gives x W^T + (alpha / rank) x A^T B^T; A (rank x inputs) begins random and B (outputs x rank) as 0,
so a model begins as it was. Only A and B are parameters to train. Source: LoRA, arXiv:2106.09685, section 4.1; library peft.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from peft import LoraConfig as Adapters
from peft import inject_adapter_in_model
from peft.tuners.lora import Linear as AdaptedLinear
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from operators.errors import BadRequest

MOMENTS_FILE = "moments.safetensors"
WEIGHT, MEAN, SQUARE = "weight", "exp_avg", "exp_avg_sq"
FACTS = "gristmill.lora"  # of the file's metadata
ADAPTER = "default"  # peft's name of the only one


@dataclass(frozen=True)
class Lora:
    """The form of adapters: `targets` are the last names of the layers that have one."""

    rank: int
    alpha: float
    targets: tuple[str, ...]


def add_lora(model: nn.Module, lora: Lora, dropout: float, seed: int) -> None:
    """Give a model adapters, and have nothing else of it trained. They depend on the seed alone.

    Raises BadRequest where the model has no linear layer of such a name.
    """
    there = {name.rpartition(".")[2] for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    if missing := [target for target in lora.targets if target not in there]:
        raise BadRequest(
            f"lora.targets names {missing[0]}, and {type(model).__name__} has no linear layer of that name. "
            f"It has: {', '.join(sorted(there))}."
        )
    adapters = Adapters(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=dropout, target_modules=list(lora.targets), bias="none"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(adapters, model, adapter_name=ADAPTER)


def adapted(model: nn.Module) -> Iterator[tuple[str, AdaptedLinear]]:
    """Give the layers that have adapters, with their names."""
    return ((name, layer) for name, layer in model.named_modules() if isinstance(layer, AdaptedLinear))


def merged(model: nn.Module, whole: Callable[[Tensor], Tensor]) -> Iterator[tuple[str, Tensor, Callable[[], Tensor]]]:
    """Give the tensors that the model would have without adapters, and with what they learned: name, tensor, values.

    Equal tensors are one tensor under two names. `whole` makes a whole tensor of a divided one; all ranks call the values of
    each tensor in this order.
    """
    layers = dict(adapted(model))
    for name, tensor in model.state_dict(keep_vars=True).items():
        if ".lora_" in name:
            continue
        layer = layers.get(name.removesuffix(".base_layer.weight"))
        values = (lambda tensor=tensor: whole(tensor.detach())) if layer is None else _learned(layer, whole)
        yield name.replace(".base_layer.", "."), tensor, values


def _learned(layer: AdaptedLinear, whole: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
    def values() -> Tensor:
        weight, a, b = (
            whole(part.weight.detach()) for part in (layer.base_layer, layer.lora_A[ADAPTER], layer.lora_B[ADAPTER])
        )
        return weight + layer.scaling[ADAPTER] * (b @ a)

    return values


@dataclass(frozen=True)
class Moments:
    """Adapters as they were at a checkpoint: weights and Adam's running means of gradient and squared gradient, by name."""

    lora: Lora
    learning_rate: float  # mean of the steps since the checkpoint before
    weights: dict[str, Tensor]
    means: dict[str, Tensor]
    squares: dict[str, Tensor]

    def save(self, file: Path) -> None:
        kinds = {WEIGHT: self.weights, MEAN: self.means, SQUARE: self.squares}
        tensors = {f"{kind}/{name}": values for kind, named in kinds.items() for name, values in named.items()}
        facts = json.dumps({"lora": asdict(self.lora), "learning_rate": self.learning_rate})
        save_file(tensors, file, {FACTS: facts})

    @classmethod
    def load(cls, folder: str) -> "Moments":
        """Read those of a checkpoint. Raises BadRequest where it has none."""
        try:
            with safe_open(Path(folder, MOMENTS_FILE), "pt") as file:
                facts = json.loads((file.metadata() or {})[FACTS])
                named: dict[str, dict[str, Tensor]] = {WEIGHT: {}, MEAN: {}, SQUARE: {}}
                for key in file.keys():  # noqa: SIM118, it is no mapping
                    kind, _, name = key.partition("/")
                    named[kind][name] = file.get_tensor(key)
        except (OSError, KeyError, ValueError) as error:
            raise BadRequest(
                f"{folder} is no checkpoint with moments ({type(error).__name__}: {error}). Train it with lora.rank and "
                "checkpoint.moments=true."
            ) from error
        lora = Lora(**facts["lora"] | {"targets": tuple(facts["lora"]["targets"])})
        return cls(lora, facts["learning_rate"], *named.values())

    def put_on(self, model: nn.Module) -> None:
        """Give the model that these were trained beside its adapters back. Raises BadRequest where it is another one."""
        add_lora(model, self.lora, dropout=0.0, seed=0)
        there = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        shapes = {name: values.shape for name, values in self.weights.items()}
        if shapes != {name: parameter.shape for name, parameter in there.items()}:
            raise BadRequest(
                f"the adapters of the checkpoint do not fit {type(model).__name__}. Give the model that they were trained on."
            )
        for (
            name,
            parameter,
        ) in there.items():  # float32 also beside weights of half precision, which are coarser than a step
            parameter.data = self.weights[name].to(parameter.device)
