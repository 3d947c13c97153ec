"""What the loss costs: forward and backward through the output head for the same tokens, with all losses that compete.

    python -m benchmarks.selective_loss
    python -m benchmarks.selective_loss --device cuda --hidden 2048 --tokens 4096

Random hidden states and heads; saved reference scores are given, as in training. All variants take turns in each round; what
is printed is the median over the rounds, of seconds and of the ratios within a round. On a processor ratios are of CPU seconds
of all threads, which other work on the machine hardly changes; on a GPU, of seconds. The naive form is what public code does:
logits of model and reference in full, each row's best by topk, a mask on the losses. Its reference's body is not counted.
Memory is the peak above what the inputs hold, gradients included, each variant in a process of its own.
"""

import argparse
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from operators.learn.losses import build_loss
from operators.learn.losses.base import LossRows
from operators.learn.losses.config import LossConfig
from operators.learn.losses.fused import weighted_cross_entropy
from operators.models.head import Head, token_losses

KEEP = 0.6


class Inputs:
    """R rows of T tokens after a body of width H, and a head of V entries, on one device."""

    def __init__(self, arguments: argparse.Namespace):
        torch.manual_seed(0)
        self.device = torch.device(arguments.device)
        dtype = torch.float32 if self.device.type == "cpu" else torch.bfloat16
        shape = arguments.rows, arguments.tokens, arguments.hidden
        make = partial(torch.randn, device=self.device, dtype=dtype)
        self.hidden = make(shape).requires_grad_()
        self.weight = (make(arguments.vocabulary, shape[2]) / shape[2] ** 0.5).requires_grad_()
        self.reference_hidden, self.reference_weight = make(shape), make(self.weight.shape) / shape[2] ** 0.5
        self.tokens = torch.randint(arguments.vocabulary, shape[:2], device=self.device)
        self.defined = torch.ones_like(self.tokens, dtype=torch.bool)
        self.defined[:, 0] = False
        reference = token_losses(
            self.reference_hidden[:, :-1].flatten(0, 1), Head(self.reference_weight), self.tokens[:, 1:].flatten()
        )[0]
        self.reference = torch.full(shape[:2], torch.nan, device=self.device)
        self.reference[:, 1:] = reference.view(shape[0], -1)

    def rows(self, **others) -> LossRows:
        return LossRows(self.defined, {"reference_loss": self.reference}, **others)


def dense(inputs: Inputs) -> Tensor:
    """The loss of all tokens by torch, the logits of all kept."""
    logits = (inputs.hidden[:, :-1] @ inputs.weight.T).flatten(0, 1)
    return cross_entropy(logits.float(), inputs.tokens[:, 1:].flatten())


def naive(inputs: Inputs) -> Tensor:
    """Rho-1 by the logits of both models, the best of each row by topk, and a mask on the losses."""
    targets = inputs.tokens[:, 1:]
    logits = inputs.hidden[:, :-1] @ inputs.weight.T
    losses = cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none").view(targets.shape)
    with torch.no_grad():
        logits = inputs.reference_hidden[:, :-1] @ inputs.reference_weight.T
        reference = cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="none").view(targets.shape)
        best = (losses - reference).topk(int(KEEP * targets.shape[1]), dim=1).indices
        mask = torch.zeros_like(losses).scatter_(1, best, 1.0)
    return (losses * mask).sum() / mask.sum()


def ours(inputs: Inputs, **settings) -> Tensor:
    loss = build_loss(LossConfig(**{"keep": KEEP} | settings))
    result = weighted_cross_entropy(inputs.hidden, Head(inputs.weight), inputs.tokens, inputs.rows(), loss)
    return result.loss / result.weights_RT.sum()


def in_two_passes(inputs: Inputs) -> Tensor:
    """The choice among a step's tokens where the step has several micro-batches: all losses first, then the kept tokens."""
    head, loss = Head(inputs.weight), build_loss(LossConfig(name="selective", keep=KEEP, scope="global"))
    nll = torch.full(inputs.tokens.shape, torch.nan, device=inputs.device)
    nll[:, 1:] = token_losses(inputs.hidden[:, :-1].flatten(0, 1), head, inputs.tokens[:, 1:].flatten())[0].view(
        len(nll), -1
    )
    weights = loss(inputs.rows(nll_RT=nll))
    return weighted_cross_entropy(inputs.hidden, head, inputs.tokens, inputs.rows(), weights).loss / weights.sum()


VARIANTS: dict[str, Callable[[Inputs], Tensor]] = {
    "torch, cross-entropy": dense,
    "ours, cross-entropy": ours,
    "ours, excess, sequence": partial(ours, name="selective"),
    "ours, excess, global, one micro-batch": partial(ours, name="selective", scope="global"),
    "ours, excess, global, several": in_two_passes,
    "ours, reference_loss, sequence": partial(ours, name="selective", score="reference_loss"),
    "naive, excess, sequence": naive,
}


class Seconds(NamedTuple):
    wall: float
    cpu: float


def seconds(variant: Callable[[Inputs], Tensor], inputs: Inputs) -> Seconds:
    inputs.hidden.grad = inputs.weight.grad = None
    _wait(inputs.device)
    began = time.perf_counter(), time.process_time()
    variant(inputs).backward()
    _wait(inputs.device)
    return Seconds(time.perf_counter() - began[0], time.process_time() - began[1])


def peak(variant: Callable[[Inputs], Tensor], inputs: Inputs) -> float:
    """Give the memory in MB that one forward and backward pass takes at its peak."""
    if inputs.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        seconds(variant, inputs)
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    Path("/proc/self/clear_refs").write_text("5")  # Linux forgets the peak so far, which is the start of the program
    before = psutil.Process().memory_info().rss
    seconds(variant, inputs)
    highest = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return (1024 * int(highest[1]) - before) / 1e6


def peak_apart(name: str) -> float:
    command = [sys.executable, "-m", "benchmarks.selective_loss", *sys.argv[1:], "--memory-of", name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=1024, help="of a row")
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory-of", choices=VARIANTS, help="print the peak in MB of one variant and nothing else")
    arguments = parser.parse_args()
    inputs = Inputs(arguments)
    if arguments.memory_of:
        print(peak(VARIANTS[arguments.memory_of], inputs))
        return
    print(
        f"{arguments.rows} rows of {arguments.tokens} tokens, hidden {arguments.hidden}, vocabulary {arguments.vocabulary:,}, "
        f"keep {KEEP}, {arguments.device}, {inputs.hidden.dtype}, {torch.get_num_threads()} threads, {arguments.rounds} rounds"
    )
    clock = "cpu" if inputs.device.type == "cpu" else "wall"
    for variant in VARIANTS.values():
        seconds(variant, inputs)
    rounds = [{name: seconds(variant, inputs) for name, variant in VARIANTS.items()} for _ in range(arguments.rounds)]
    print(f"{'':40}{'wall s':>9}{'CPU s':>9}{'of torch':>10}{'of naive':>10}{'peak MB':>9}")
    for name in VARIANTS:
        wall, cpu = (statistics.median(getattr(times[name], kind) for times in rounds) for kind in Seconds._fields)
        ratios = [
            statistics.median(getattr(times[name], clock) / getattr(times[base], clock) for times in rounds)
            for base in ("torch, cross-entropy", "naive, excess, sequence")
        ]
        print(f"{name:40}{wall:9.3f}{cpu:9.3f}{ratios[0]:10.2f}{ratios[1]:10.2f}{peak_apart(name):9,.0f}", flush=True)


if __name__ == "__main__":
    main()
