"""How much of fine-tuning rows is padding, where no example may be cut: gristmill's packing beside the plain ways.

    python -m benchmarks.packing EXAMPLES.jsonl ...

Each file has records in any form that `gristmill run pack` reads, plain or gzipped; the tokenizer is a byte-level BPE of 16,000
entries that is trained on them. `next row` begins a row where an example does not fit into the last one; `first fit` puts it into
the first of 64 open rows that has room; `cut` goes on in the next row, and has to cut examples for it. Examples above the window
are truncated in all of them.
"""

import argparse
import gzip
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from operators.examples.base import Example, ExampleConfig, NoExample, example_of
from operators.examples.prompting import Prompting, PromptingConfig, Tokens
from operators.tokens.fit import fitted
from operators.tokens.pack import ExamplePacker
from operators.tokens.rows import Packing

WINDOWS = (256, 512, 1024, 2048, 4096)
OPEN = 64  # rows of first fit


def examples(file: Path) -> Iterator[Example]:
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        for line in lines:
            try:
                yield example_of(json.loads(line), CONFIG)
            except NoExample:
                continue


CONFIG = ExampleConfig(prompt_columns=["instruction", "input"])


def tokenizer(folder: str, texts: list[str]) -> str:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=16_000, initial_alphabet=alphabet, special_tokens=["</s>"], show_progress=False),
    )
    made.save(f"{folder}/tokenizer.json")
    Path(folder, "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>"}))
    return folder


def next_row(sizes: np.ndarray, window: int) -> tuple[int, int]:
    return first_fit(sizes, window, most=1)


def first_fit(sizes: np.ndarray, window: int, most: int = OPEN) -> tuple[int, int]:
    """Give the rows, and the examples that were cut."""
    room, rows = [], 0
    for size in sizes.tolist():
        place = next((place for place, left in enumerate(room) if left >= size), None)
        if place is None:
            room.append(window)
            place, rows = len(room) - 1, rows + 1
            if len(room) > most:
                del room[int(np.argmin(room[:-1]))]
                place -= 1
        room[place] -= size
    return rows, 0


def cut(sizes: np.ndarray, window: int) -> tuple[int, int]:
    ends = np.cumsum(sizes)
    return -(-int(ends[-1]) // window), int(np.count_nonzero((ends - sizes) // window != (ends - 1) // window))


def ours(tokens: list[Tokens], window: int) -> tuple[int, int]:
    packer = ExamplePacker(Packing(window, False, "", 16_000, 0), 2048, "")
    for one in tokens:
        for piece in fitted(one.ids, one.answer, window, "truncate").pieces:
            for _ in packer.add(*piece):
                pass
    list(packer.finish())
    return packer.made, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--question", default="instruction", help="column with the question, where it is not Alpaca's")
    parser.add_argument("--answer", default="output", help="column with the answer")
    arguments = parser.parse_args()
    CONFIG.prompt_columns, CONFIG.answer_column = [arguments.question, "input"], arguments.answer
    for file in arguments.files:
        read = list(examples(file))
        with tempfile.TemporaryDirectory() as folder:
            path = tokenizer(folder, [example.spoken for example in read])
            prompting = Prompting(PromptingConfig("alpaca", max_tokens=None, score_eos=True), path)
            tokens = [one for one in prompting.tokenise(read) if isinstance(one, Tokens)]
        lengths = np.array([len(one.ids) for one in tokens])
        print(f"{file.name}: {len(tokens):,} examples, median {np.median(lengths):.0f} tokens, longest {lengths.max()}")
        for window in WINDOWS:
            kept = [one for one in tokens if one.answer[1:window].any()]
            sizes = np.array([min(len(one.ids), window) for one in kept])
            ways: dict[str, Callable] = {"cut": cut, "next row": next_row, "first fit": first_fit}
            found = {name: way(sizes, window) for name, way in ways.items()}
            begin = time.process_time()
            found["gristmill"] = ours(kept, window)
            speed = len(kept) / (time.process_time() - begin)
            told = ", ".join(f"{name} {1 - sizes.sum() / (rows * window):.2%}" for name, (rows, _) in found.items())
            print(
                f"  window {window}: {told}; cut {found['cut'][1] / len(kept):.1%} of the examples; {speed:,.0f} examples/s"
            )


if __name__ == "__main__":
    main()
