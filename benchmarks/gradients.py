"""Features of LESS beside the plain way: each row alone, a backward of its own, the adapters' gradients put in a line, projected.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.gradients
    python -m benchmarks.gradients --device cuda --models 360M --rank 128 --rows 2000

Rows and models are those of benchmarks/measuring.py, the adapters are random. The plain way makes the same signs and projects 16
rows at once; what it gives is held against ours. Where other processes want the processor too, its time says more than the clock.
The second table is the projection alone: signs are made anew for each lot of rows, so large lots share them.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from transformers.utils import logging

from benchmarks.measuring import questions
from benchmarks.scoring import MODELS, VOCABULARY, make_model, timed
from benchmarks.texts import docstrings, train_tokenizer
from operators.examples.base import ExampleConfig, example_of
from operators.examples.prompting import Prompting, PromptingConfig
from operators.models.causal_lm import load_causal_lm
from operators.models.lora import MOMENTS_FILE, Lora, Moments, add_lora
from operators.select.measure.base import ModelConfig
from operators.select.measure.gradients.config import GradientsConfig
from operators.select.measure.gradients.measure import Gradients
from operators.select.measure.gradients.projection import Projection

DIMENSIONS, LOT = 8192, 16
PROMPTING = PromptingConfig(template="tulu", max_tokens=2048, score_eos=True)


def make_checkpoint(folder: Path, model: str, rank: int) -> str:
    """Save random adapters with random running means."""
    lora = Lora(rank, 4.0 * rank, ("q_proj", "k_proj", "v_proj", "o_proj"))
    network = load_causal_lm(model)
    add_lora(network, lora, dropout=0.0, seed=0)
    weights = {
        name: torch.randn_like(values) / 50 for name, values in network.named_parameters() if values.requires_grad
    }
    squares = {name: 1e-6 * torch.rand_like(values) for name, values in weights.items()}
    folder.mkdir()
    Moments(lora, 1e-5, weights, {name: 1e-3 * values for name, values in weights.items()}, squares).save(
        folder / MOMENTS_FILE
    )
    return str(folder)


def plain(model: str, checkpoint: str, rows: pa.Table, device: str) -> np.ndarray:
    """Give the features of training rows, row by row: float32 (rows, DIMENSIONS), of length 1."""
    network, moments = load_causal_lm(model, device=device), Moments.load(checkpoint)
    moments.put_on(network)
    adapters = {name: values for name, values in network.named_parameters() if values.requires_grad}
    means, squares = (
        torch.cat([values[name].flatten() for name in adapters]).to(device)
        for values in (moments.means, moments.squares)
    )
    projection, waiting, made = Projection(DIMENSIONS, 0, torch.device(device)), [], []
    examples = [example_of(json.loads(record), ExampleConfig()) for record in rows["record"].to_pylist()]
    for tokens in Prompting(PROMPTING, model).tokenise(examples):
        ids, answer = torch.from_numpy(tokens.ids).long().to(device), torch.from_numpy(tokens.answer).to(device)
        logits = network(input_ids=ids[None], use_cache=False).logits[0]
        torch.nn.functional.cross_entropy(logits[:-1][answer[1:]], ids[1:][answer[1:]]).backward()
        gradient = torch.cat([values.grad.flatten() for values in adapters.values()])
        network.zero_grad()
        feature = (0.9 * means + 0.1 * gradient) / (0.999 * squares + 0.001 * gradient**2 + 1e-8).sqrt()
        waiting.append(feature)
        if len(waiting) == LOT or len(made) * LOT + len(waiting) == len(examples):
            made.append(torch.zeros(len(waiting), DIMENSIONS, device=device))
            projection.add(torch.stack(waiting), made[-1])
            waiting = []
    return torch.nn.functional.normalize(torch.cat(made)).cpu().numpy()


def features(model: str, checkpoint: str, rows: pa.Table, device: str) -> np.ndarray:
    measure = Gradients(
        GradientsConfig(checkpoint, dimensions=DIMENSIONS),
        ExampleConfig(),
        PROMPTING,
        ModelConfig(path=model, device=device, dtype="float32"),
    )
    return np.stack(measure(rows)["gradient"].to_numpy())


def compare(size: str, model: str, rows: pa.Table, arguments: argparse.Namespace) -> None:
    checkpoint = make_checkpoint(Path(model).with_name(f"{size}-adapters"), model, arguments.rank)
    for way in (plain, features):
        way(model, checkpoint, rows.slice(0, 2), arguments.device)
    theirs, their_seconds = timed(lambda: plain(model, checkpoint, rows, arguments.device))
    ours, our_seconds = timed(lambda: features(model, checkpoint, rows, arguments.device))
    ours = ours.astype(np.float64)
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1)
    clock, processor = (there / here for there, here in zip(their_seconds, our_seconds, strict=True))
    print(
        f"{size:>5}: ours {len(rows) / our_seconds[0]:7.2f} rows/s, plain {len(rows) / their_seconds[0]:7.2f}, "
        f"ratio {clock:5.2f}, by processor time {processor:5.2f}; least cosine {cosines.min():.6f}",
        flush=True,
    )


def projection(device: str, coordinates: int) -> None:
    projecting = Projection(DIMENSIONS, 0, torch.device(device))
    for lot in (1, 16, 64, 256):
        vectors, into = torch.randn(lot, coordinates, device=device), torch.zeros(lot, DIMENSIONS, device=device)
        projecting.add(vectors, into)

        def project(vectors=vectors, into=into) -> float:
            projecting.add(vectors, into)
            return float(into[0, 0])  # waits for a GPU

        _, (wall, processor) = timed(project)
        flops = 2 * lot * coordinates * DIMENSIONS
        print(
            f"{lot:5} rows at once: {1e3 * processor / lot:8.1f} ms of processor a row, {flops / wall / 1e9:8.1f} GFLOP/s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["5M", "30M"])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rank", type=int, default=8)
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        tokenizer = train_tokenizer((row["text"] for row in docstrings()), VOCABULARY)
        rows = questions(arguments.rows)
        print(f"{torch.get_num_threads()} threads, {len(rows):,} rows, rank {arguments.rank}", flush=True)
        for size in arguments.models:
            compare(size, make_model(root / size, tokenizer, VOCABULARY, MODELS[size]), rows, arguments)
    projection(arguments.device, 50_000)


if __name__ == "__main__":
    main()
