"""Real text in parts that share no document, and noise of which it is known where it is."""

import argparse
import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.texts import SPECIAL_TOKENS, docstrings, train_tokenizer
from operators.text.tokenizer import contents_digest, load_tokenizer
from operators.tokens.pack import Packer
from operators.tokens.rows import PackedRows, Packing

WIKIPEDIA = Path(__file__).resolve().parents[2] / "shared" / "data" / "wiki_en"
SPAN = 24  # tokens of a span of noise, on average
TOKENIZER_TEXT = 3_000_000  # characters that the tokenizer learns from
VALIDATION_ROWS = 64


def prepare(folder: Path, options: argparse.Namespace) -> str:
    """Write the tokenizer, the packed parts and where the corpus is noise; say what text it is and how much."""
    name, documents = texts()
    sample = list(_up_to(documents, TOKENIZER_TEXT))
    tokenizer = train_tokenizer(sample, options.vocabulary)
    tokenizer.save_pretrained(folder)
    packing = Packing(
        options.window,
        False,
        contents_digest(load_tokenizer(str(folder))),
        options.vocabulary,
        tokenizer.eos_token_id,
    )
    encoded = (np.array([*tokenizer(text).input_ids, packing.eos]) for text in chain(sample, documents))
    tokens = options.steps * options.rows * options.window
    wanted = {"corpus": tokens, "reference": options.reference * tokens, "validation": VALIDATION_ROWS * options.window}
    parts, draw = split(encoded, wanted), np.random.default_rng(0)
    entries = range(len(SPECIAL_TOKENS), options.vocabulary)
    parts["corpus"], masks = zip(
        *(with_noise(one, options.noise, entries, draw) for one in parts["corpus"]), strict=True
    )
    packed = {part: _pack(documents, packing, part) for part, documents in parts.items()}
    noise_RT = _pack(masks, replace(packing, eos=0), "noise").tokens_RT.astype(bool)
    for part, rows in packed.items():
        write(rows.table(), folder / part)
    np.save(folder / "noise.npy", noise_RT)
    sizes = ", ".join(f"{part} {rows.targets_RT.sum():,} tokens" for part, rows in packed.items())
    return f"{name}: {sizes}; {noise_RT[packed['corpus'].targets_RT].mean():.1%} of the corpus is noise"


def texts() -> tuple[str, Iterator[str]]:
    """Name the real text that is on this machine, and read its documents."""
    files = sorted(WIKIPEDIA.glob("*.jsonl.gz"))
    if files:
        return "English Wikipedia", (json.loads(line)["text"] for file in files for line in gzip.open(file))
    return "the documentation strings of Python", (document["text"] for document in docstrings())


def split(documents: Iterable[np.ndarray], wanted: dict[str, int]) -> dict[str, list[np.ndarray]]:
    """Deal out documents (tokens) to parts that want so many tokens each, such that all parts fill up alike.

    Reads no more documents than are wanted; where there are fewer, parts are smaller in proportion.
    """
    parts, filled = {name: [] for name in wanted}, dict.fromkeys(wanted, 0)
    for tokens in documents:
        name = min(wanted, key=lambda part: filled[part] / wanted[part])
        if filled[name] >= wanted[name]:
            break
        parts[name].append(tokens)
        filled[name] += len(tokens)
    return parts


def with_noise(
    tokens: np.ndarray, share: float, entries: range, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Make a share of a document noise, its last token (the end) aside. Returns the tokens and a mask of what is noise.

    Spans of noise and of text take turns; their lengths are geometric. Half of the spans are shuffled in place, half are
    replaced by random ones of `entries` of the vocabulary.
    """
    tokens, mask = tokens.copy(), np.zeros(len(tokens), bool)
    if not share:
        return tokens, mask
    between = SPAN * (1 - share) / share
    begin = round(draw.exponential(between))
    while begin < len(tokens) - 1:
        end = min(begin + draw.geometric(1 / SPAN), len(tokens) - 1)
        shuffled = draw.random() < 0.5
        span = (
            draw.permutation(tokens[begin:end]) if shuffled else draw.integers(entries.start, entries.stop, end - begin)
        )
        tokens[begin:end], mask[begin:end] = span, True
        begin = end + round(draw.exponential(between))
    return tokens, mask


def _up_to(documents: Iterator[str], characters: int) -> Iterator[str]:
    while characters > 0 and (text := next(documents, None)) is not None:
        characters -= len(text)
        yield text


def _pack(documents: Iterable[np.ndarray], packing: Packing, name: str) -> PackedRows:
    packer = Packer(packing, sum(map(len, documents)) // packing.window + 1, name)
    [rows] = [*chain.from_iterable(map(packer.add, documents)), *packer.finish()]
    return rows


def write(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)


def read(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
