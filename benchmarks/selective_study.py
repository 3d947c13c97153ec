"""A small study of selective training (Rho-1) on text of which a part is noise: does it learn clean text faster?

    python -m benchmarks.selective_study                       # a quarter of an hour on two cores
    python -m benchmarks.selective_study --noise 0             # the same on clean text

Real text (English Wikipedia in shared/data beside the repository or, where that is missing, the documentation strings of
Python) is split by document into a corpus, a clean part for the reference model, and a clean validation part. In the corpus a
share of the tokens is made noise, in spans inside the documents: half of the spans are shuffled, half are random tokens.
The reference has the shape of the trained models and is trained on its clean part with plain cross-entropy.

For each seed (of weights and data order) three models see the same rows in the same order, for as many steps with the same
settings. `plain` is trained on all tokens. `selective` is trained on those with the highest excess loss in their row.
`oracle` is plain, but is told which tokens are noise and leaves them out: what there is to gain by leaving out noise.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from benchmarks.noisy_text import prepare, read, write
from operators.learn.losses import build_loss
from operators.learn.losses.config import LossConfig
from operators.learn.losses.selective import choose
from operators.learn.score import ScoreConfig, Scorer
from operators.learn.training.config import (
    BatchConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainedModelConfig,
    TrainingConfig,
)
from operators.learn.training.data.feeding import Shards, take
from operators.learn.training.loop import Trainer
from operators.learn.training.objective import on_device
from operators.learn.training.parallel import World
from operators.tokens.rows import PackedRows, flat, rows_of

ARMS = {"plain": "#666666", "selective": "#d55e00", "oracle": "#3f8fd2"}  # and their colours
WATCHED_ROWS = 32  # of the corpus, in which the choice is looked at
EVALUATIONS = 20  # of a run
REFERENCE_SEED = 1000  # none of the trained models'


def trainer(
    folder: Path,
    options: argparse.Namespace,
    steps: int,
    seed: int,
    loss: LossConfig,
    rows: PackedRows,
    scores: pa.Table | None = None,
) -> Trainer:
    config = TrainingConfig(
        TrainedModelConfig(layers=options.layers, heads=options.width // 32, width=options.width),
        OptimizerConfig(lr=options.lr),
        ScheduleConfig(warmup_steps=steps // 20),
        batch=BatchConfig(options.rows, options.rows),
        steps=steps,
        seed=seed,
    )
    built = build_loss(loss)
    table = rows.table()
    shards = Shards(rows.packing, [len(rows.ids)], lambda shard: (table, scores), built.columns)
    return Trainer(config, built, shards, World(0, 1, torch.device("cpu")), folder)


def train_reference(folder: Path, options: argparse.Namespace) -> float:
    """Train the reference, score the corpus with it, and give its loss on the validation part."""
    torch.set_num_threads(1)
    rows = rows_of(read(folder / "reference"))
    run = trainer(folder, options, options.reference * options.steps, REFERENCE_SEED, LossConfig(), rows)
    for _ in run.steps():
        pass
    run.save_model(folder / "model")
    write(Scorer(ScoreConfig(), [str(folder / "model")])(read(folder / "corpus")), folder / "scores")
    return run.evaluate(read(folder / "validation")).loss


def train(folder: Path, options: argparse.Namespace, task: tuple[str, int]) -> list[dict]:
    """Train one model; gives what was measured after each part of the run."""
    arm, seed = task
    torch.set_num_threads(1)
    rows, noise_RT = rows_of(read(folder / "corpus")), np.load(folder / "noise.npy")
    scores = read(folder / "scores") if arm == "selective" else None
    seen = replace(rows, targets_RT=rows.targets_RT & ~noise_RT) if arm == "oracle" else rows
    loss = LossConfig("selective", keep=options.keep) if arm == "selective" else LossConfig()
    run, validation = trainer(folder, options, options.steps, seed, loss, seen, scores), read(folder / "validation")
    points, due = [], max(1, options.steps // EVALUATIONS)
    for result in run.steps():
        if result.step % due == 0 or result.step == options.steps:
            point = {"step": result.step, "tokens": result.tokens_seen, "trained": result.tokens_trained}
            point["noise"] = noise_share(run, rows, scores, noise_RT, options.keep) if scores else None
            points.append(point | {"loss": run.evaluate(validation).loss})
    print(f"  {arm}, seed {seed}: {points[-1]['loss']:.4f}", flush=True)
    return points


@torch.no_grad()
def noise_share(run: Trainer, rows: PackedRows, scores: pa.Table, noise_RT: np.ndarray, keep: float) -> float:
    """Give the share of noise among the tokens that would be chosen with the model as it is now."""
    batch, watched = take(rows, range(WATCHED_ROWS)), slice(WATCHED_ROWS)
    reference_RT = flat(scores["reference_loss"]).reshape(noise_RT.shape)[watched].astype(np.float32)
    excess_RT = run.objective(on_device(batch, run.world.device)) - torch.from_numpy(reference_RT)
    chosen_RT, _ = choose(excess_RT, torch.from_numpy(batch.defined_BT), keep)
    return float(noise_RT[watched][chosen_RT.numpy()].mean())


def steps_to(points: list[dict], loss: float) -> float | None:
    """Find when a validation loss was reached, in steps, on straight lines between the measurements; None if never."""
    for before, after in pairwise(points):
        if after["loss"] <= loss:
            share = (before["loss"] - loss) / (before["loss"] - after["loss"])
            return before["step"] + share * (after["step"] - before["step"])
    return None


def report(runs: dict[tuple[str, int], list[dict]], options: argparse.Namespace) -> None:
    arms = [arm for arm in ARMS if (arm, 0) in runs]
    print(f"\n{'clean validation loss, nats per token, mean over seeds':>60}")
    print(f"{'step':>6} {'tokens seen':>12}" + "".join(f"{arm:>12}" for arm in arms) + f"{'noise in the choice':>22}")
    for place, point in enumerate(runs["plain", 0]):
        means = [statistics.mean(runs[arm, seed][place]["loss"] for seed in range(options.seeds)) for arm in arms]
        noise = statistics.mean(runs["selective", seed][place]["noise"] for seed in range(options.seeds))
        print(
            f"{point['step']:6} {point['tokens']:12,}" + "".join(f"{mean:12.4f}" for mean in means) + f"{noise:22.1%}"
        )
    print(
        f"\n{'seed':>4} {'arm':>10} {'last loss':>10} {'against plain':>14} {'trained on':>12}   steps to plain's last loss"
    )
    for (arm, seed), points in sorted(runs.items(), key=lambda item: (item[0][1], arms.index(item[0][0]))):
        last, plain = points[-1], runs["plain", seed][-1]["loss"]
        reached = steps_to(points, plain)
        steps = "never" if reached is None else f"{reached:,.0f} ({reached / options.steps:.0%})"
        print(f"{seed:4} {arm:>10} {last['loss']:10.4f} {last['loss'] - plain:+14.4f} {last['trained']:12,}   {steps}")
    for arm in arms[1:]:
        gaps = [runs[arm, seed][-1]["loss"] - runs["plain", seed][-1]["loss"] for seed in range(options.seeds)]
        print(
            f"{arm} - plain: mean {statistics.mean(gaps):+.4f}, from {min(gaps):+.4f} to {max(gaps):+.4f} over {len(gaps)} seeds"
        )


def plot(runs: dict[tuple[str, int], list[dict]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot(xlabel="tokens seen, millions", ylabel="clean validation loss, nats per token")
    for (arm, seed), points in runs.items():
        tokens, losses = [p["tokens"] / 1e6 for p in points], [p["loss"] for p in points]
        axes.plot(tokens, losses, color=ARMS[arm], linewidth=1, label=arm if seed == 0 else None)
    axes.set_ylim(top=np.quantile([p["loss"] for points in runs.values() for p in points], 0.9))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800, help="optimizer steps of each model")
    parser.add_argument("--reference", type=int, default=2, help="times as many steps, and tokens, for the reference")
    parser.add_argument("--rows", type=int, default=4, help="packed rows of a step")
    parser.add_argument("--window", type=int, default=256, help="tokens of a row")
    parser.add_argument("--vocabulary", type=int, default=1024, help="entries of the tokenizer")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=128, help="hidden units, a multiple of 32, one head each")
    parser.add_argument("--lr", type=float, default=1e-3, help="peak learning rate, cosine to a tenth of it")
    parser.add_argument("--keep", type=float, default=0.6)
    parser.add_argument("--noise", type=float, default=0.38, help="about this share of the corpus's tokens, in [0, 1)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("runs/selective_study"), help="folder of plot and figures")
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    began, cores = time.monotonic(), len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        print(prepare(Path(name), options), flush=True)
        print(f"{cores} models at a time, on one core each; last loss on clean validation text:", flush=True)
        with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
            work = partial(pool.submit, train, Path(name), options)
            reference = pool.submit(train_reference, Path(name), options)
            at_once = ("plain", "oracle") if options.noise else ("plain",)
            futures = {(arm, seed): work((arm, seed)) for seed in range(options.seeds) for arm in at_once}
            print(f"  reference: {reference.result():.4f}", flush=True)  # the selective runs read its scores
            futures |= {("selective", seed): work(("selective", seed)) for seed in range(options.seeds)}
            runs = {task: future.result() for task, future in futures.items()}
    report(runs, options)
    options.output.mkdir(parents=True, exist_ok=True)
    told = [{"arm": arm, "seed": seed, "points": points} for (arm, seed), points in runs.items()]
    (options.output / "curves.json").write_text(json.dumps(told, indent=1))
    plot(runs, options.output / "curves.png")
    print(f"\n{time.monotonic() - began:.0f} s in all; plot and figures in {options.output}")


if __name__ == "__main__":
    main()
