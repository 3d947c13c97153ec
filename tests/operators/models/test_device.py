import pytest
import torch

from operators.models.device import chosen_device, may_use_gpu, no_gpu_because


@pytest.mark.parametrize(
    ("device", "may"),
    [(None, True), ("cuda", True), ("cuda:1", True), ("cpu", False), ("cpu:0", False), ("mps", False)],
)
def test_what_a_setting_leaves_open_may_run_on_a_gpu(device, may):
    assert may_use_gpu(device) == may


@pytest.mark.parametrize("there", [False, True])
def test_null_is_a_gpu_where_torch_can_use_one(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert chosen_device(None) == ("cuda" if there else "cpu") and chosen_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("build", "usable", "said"),
    [(None, False, "is a build for processors"), ("13.0", False, "finds no GPU that it can use"), ("13.0", True, None)],
)
def test_why_no_gpu_is_used_is_told_from_what_is_there(monkeypatch, build, usable, said):
    monkeypatch.setattr(torch.version, "cuda", build)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    because = no_gpu_because()
    assert because is None if said is None else because.startswith("torch ") and because.endswith(said)
