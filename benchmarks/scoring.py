"""Scoring beside a plain loop over Hugging Face's model, and the peak memory of both as vocabulary and rows grow.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.scoring
    python -m benchmarks.scoring --device cuda

Documents of lognormal length, made of the documentation strings of Python's standard library, are packed into rows of 2,048
tokens, each with a context of its own. The plain loop takes the same contexts in the given order, 16 at a time, padded to the
longest: `model(...).logits`, `log_softmax`, `gather`. The models are Llamas with random weights, a vocabulary of 32,000 and,
for both sides, the same number format. Tokens per second count tokens of documents, no padding. Both sides take turns;
the median of the rounds counts. Where other processes want the processor too, its time says more than the clock, and threads
must not spin while they wait (OMP_WAIT_POLICY).

The memory table scores one row in a process of its own and reports its peak of resident memory above what it held
with the model loaded, in MiB (on a GPU, the peak of what torch has allocated).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from benchmarks.texts import docstrings, train_tokenizer
from operators.learn.score import ScoreConfig, Scorer
from operators.text.tokenizer import contents_digest, load_tokenizer
from operators.tokens.pack import Packer
from operators.tokens.rows import PackedRows, Packing

VOCABULARY, WINDOW, BATCH = 32_000, 2048, 16
MODELS = {"5M": (128, 4, 2), "30M": (384, 10, 6), "360M": (1024, 22, 16)}  # hidden, layers, heads
MEDIAN_TOKENS, SPREAD = 180, 1.0  # of a document: of the lognormal distribution
MEMORY_GRID = [(32_000, 1024), (32_000, 4096), (128_000, 1024), (128_000, 4096)]  # vocabulary, tokens of the row


def make_model(folder: Path, tokenizer, vocabulary: int, shape: tuple[int, int, int]) -> str:
    hidden, layers, heads = shape
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3 // 64 * 64,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def documents(tokenizer, tokens: int) -> list[np.ndarray]:
    """Cut the documentation strings, one after the other, into documents of lognormal length, so many tokens in all."""
    stream = np.concatenate(tokenizer([row["text"] for row in docstrings()]).input_ids)
    stream, dice = np.resize(stream, tokens), np.random.default_rng(1)
    lengths = np.maximum(2, dice.lognormal(np.log(MEDIAN_TOKENS), SPREAD, tokens)).astype(int)
    return [document for document in np.split(stream, np.cumsum(lengths)) if len(document)]


def packed(texts: list[np.ndarray], packing: Packing) -> PackedRows:
    packer = Packer(packing, sum(map(len, texts)) // packing.window + 1, "rows")
    full = [rows for text in texts for rows in packer.add(text)]
    [rows] = full or list(packer.finish())
    return rows


def plain_loop(model, rows: PackedRows) -> np.ndarray:
    """Score the contexts in the given order, padded to the longest of a batch; float32 (R * T), NaN where undefined."""
    flat, scores = torch.from_numpy(rows.tokens_RT.reshape(-1).astype(np.int64)), np.full(rows.tokens_RT.size, np.nan)
    segments = [(r * rows.packing.window + b, r * rows.packing.window + e) for r, b, e in rows.segments().tolist()]
    with torch.inference_mode():
        for batch in (segments[i : i + BATCH] for i in range(0, len(segments), BATCH)):
            tokens_BT = torch.nn.utils.rnn.pad_sequence([flat[b:e] for b, e in batch], batch_first=True).to(
                model.device
            )
            lengths_B1 = torch.tensor([[e - b] for b, e in batch])
            mask_BT = (torch.arange(tokens_BT.shape[1])[None] < lengths_B1).to(model.device)
            log_probs_BTV = model(input_ids=tokens_BT, attention_mask=mask_BT).logits.float().log_softmax(-1)
            losses_BT = -log_probs_BTV[:, :-1].gather(-1, tokens_BT[:, 1:, None])[..., 0].cpu().numpy()
            for losses, (begin, end) in zip(losses_BT, batch, strict=True):
                scores[begin + 1 : end] = losses[: end - begin - 1]
    scores[~rows.defined_RT.reshape(-1)] = np.nan
    return scores


def load_plain(folder: str, config: ScoreConfig):
    dtype = config.dtype or ("bfloat16" if config.device.startswith("cuda") else "float32")
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval().to(config.device)


def speed(name: str, folder: str, rows: PackedRows, config: ScoreConfig, rounds: int) -> None:
    table, scorer, model = rows.table(), Scorer(config, [folder]), load_plain(folder, config)
    warm = PackedRows(rows.packing, rows.ids[:1], rows.tokens_RT[:1], rows.starts_RT[:1], rows.targets_RT[:1])
    plain_loop(model, warm), scorer(warm.table())
    tokens, ours, plain = int(rows.targets_RT.sum()), [], []
    for _ in range(rounds):
        scored, spent = timed(lambda: scorer(table)["reference_loss"])
        expected, spent_plainly = timed(lambda: plain_loop(model, rows))
        ours.append(spent), plain.append(spent_plainly)
    apart = np.nanmax(np.abs(np.concatenate([row.values.to_numpy(zero_copy_only=False) for row in scored]) - expected))
    rate, plain_rate = (tokens / statistics.median(wall for wall, _ in side) for side in (ours, plain))
    processor = statistics.median(there / here for (_, here), (_, there) in zip(ours, plain, strict=True))
    print(
        f"{name:>5} {sum(p.numel() for p in model.parameters()) / 1e6:6.1f} M parameters: ours {rate:10,.0f} tokens/s, plain "
        f"loop {plain_rate:10,.0f}, ratio {rate / plain_rate:5.2f}, by processor time {processor:5.2f} "
        f"(rounds {', '.join(f'{there / here:.2f}' for (here, _), (there, _) in zip(ours, plain, strict=True))}); "
        f"losses up to {np.nanmax(expected):.2f} differ by {apart:.1e} at most",
        flush=True,
    )


def timed(work) -> tuple[Any, tuple[float, float]]:
    """Do it, and give the seconds that it took on the clock and of all processors."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - wall, time.process_time() - processor)


def peak_memory(side: str, folder: str, vocabulary: int, window: int, device: str) -> None:
    """Print the MiB that scoring one row takes above the loaded model. The child's side of `memory_table`."""
    import psutil

    packing = Packing(window, True, contents_digest(load_tokenizer(folder)), vocabulary, 0)
    texts = [np.random.default_rng(0).integers(0, vocabulary, window)]
    rows, config = packed(texts, packing), ScoreConfig(device=device)
    if side == "ours":
        scorer = Scorer(config, [folder])
        work = lambda: scorer(rows.table())  # noqa: E731
    else:
        model = load_plain(folder, config)
        work = lambda: plain_loop(model, rows)  # noqa: E731
    before = psutil.Process().memory_info().rss
    if device.startswith("cuda"):
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    work()
    peak = _peak_resident() if device == "cpu" else torch.cuda.max_memory_allocated()
    print(json.dumps((peak - before) / 2**20))


def _peak_resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    [peak] = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(peak) * 1024


def memory_table(root: Path, tokenizer, device: str) -> None:
    print(
        f"{'vocabulary':>10} {'row':>6} {'logits, MiB':>12} {'plain loop':>11} {'ours':>8}  MiB above the loaded model"
    )
    for vocabulary, window in MEMORY_GRID:
        folder = make_model(root / f"memory-{vocabulary}", tokenizer, vocabulary, (64, 2, 2))
        peaks = []
        for side in ("plain", "ours"):
            command = [sys.executable, "-m", "benchmarks.scoring", "--device", device, "--memory", side, folder]
            answer = subprocess.run(
                [*command, str(vocabulary), str(window)], capture_output=True, text=True, check=True
            )
            peaks.append(json.loads(answer.stdout))
        logits = vocabulary * window * 4 / 2**20
        print(f"{vocabulary:10,} {window:6,} {logits:12,.0f} {peaks[0]:11,.0f} {peaks[1]:8,.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["5M", "30M"])
    parser.add_argument("--tokens", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-tokens", type=int)
    parser.add_argument("--entropy", action="store_true")
    parser.add_argument("--no-memory", action="store_true", help="leave the memory table out")
    parser.add_argument("--memory", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if arguments.memory:
        side, folder, vocabulary, window = arguments.memory
        peak_memory(side, folder, int(vocabulary), int(window), arguments.device)
        return
    config = ScoreConfig(arguments.entropy, device=arguments.device, batch_tokens=arguments.batch_tokens)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        tokenizer = train_tokenizer((row["text"] for row in docstrings()), VOCABULARY)
        tokenizer.save_pretrained(root)
        packing = Packing(WINDOW, False, contents_digest(load_tokenizer(str(root))), VOCABULARY, 0)
        rows = packed(documents(tokenizer, arguments.tokens), packing)
        contexts = len(rows.segments())
        print(
            f"{torch.get_num_threads()} threads; {rows.targets_RT.sum():,} tokens in {contexts:,} contexts", flush=True
        )
        for size in arguments.models:
            folder = make_model(root / size, tokenizer, VOCABULARY, MODELS[size])
            speed(size, folder, rows, config, arguments.rounds)
        if not arguments.no_memory:
            memory_table(root, tokenizer, arguments.device)


if __name__ == "__main__":
    main()
