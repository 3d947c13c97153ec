"""What a resume costs at 1, 10, 100 and 1,000 million units: seconds, memory, and the size of the records.

    python -m benchmarks.resume [--millions 1 10]

The artifact is synthetic: its records are written by the ledger's own code, in the random order in which orders end, without the
parts. Each split has 200,000 units (128 MiB of text in two styles); a few hundred units at random places are left to do.
The resume is that of a run: a new process reads the records and writes down what is left, until the first task could start.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from operators.storage.base import END, InputFile, Split
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.flow.stream.read import split_rows
from pipelines.ledger.lease import myself
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.reading import read_records
from pipelines.ledger.records import Commit, Part, State
from pipelines.ledger.spans import Span
from pipelines.ledger.tenure import claim, folded

UNITS_PER_ORDER, ORDERS_PER_COMMIT, ORDERS_PER_SPLIT = 128, 8, 1563
COMMITS_PER_FOLD = 4096
LEFT_TO_DO = 0.00001  # share of the commits that are missing


def splits(units: int) -> list[Split]:
    """Name the splits of an input of so many units."""
    count = -(-units // (UNITS_PER_ORDER * ORDERS_PER_SPLIT))
    size = 128 * 2**20
    files = [InputFile(f"corpus-{i // 8:05}.jsonl", "", 8 * size, "jsonl") for i in range(count)]
    return [Split(file, i % 8 * size, (i % 8 + 1) * size) for i, file in enumerate(files)]


def orders(all_splits: list[Split], dice: random.Random) -> Iterator[tuple[str, Span]]:
    """Give all orders, those of 64 splits at a time in random order, as so many readers would."""
    for begin in range(0, len(all_splits), 64):
        some = [
            (split.key, ((i * 77_000, 0), (END if i == ORDERS_PER_SPLIT - 1 else (i + 1) * 77_000, 0)))
            for split in all_splits[begin : begin + 64]
            for i in range(ORDERS_PER_SPLIT)
        ]
        dice.shuffle(some)
        yield from some


def commits(all_splits: list[Split]) -> Iterator[tuple[str, Commit]]:
    dice = random.Random(1)
    stream, number = orders(all_splits, dice), 0
    while some := list(islice(stream, ORDERS_PER_COMMIT)):
        number += 1
        if dice.random() < LEFT_TO_DO or number == 5:
            continue
        spans: dict[str, list[Span]] = {}
        for split, span in some:
            spans.setdefault(split, []).append(span)
        parts = [
            Part(
                f"{folder}/part-00000001-{dice.getrandbits(128):032x}.parquet",
                rows,
                size,
                f"{dice.getrandbits(128):032x}",
            )
            for folder, rows, size in (("data", 1000, dice.randrange(600_000, 700_000)), ("rejected", 24, 9_000))
        ]
        counts = {"documents": 256, "kept": {"medium": 500, "qa": 500}, "rejected": {"qa": {"clean/refusal": 24}}}
        yield f"w-{number}", Commit(parts, spans, counts)


def build(place: Place, all_splits: list[Split]) -> None:
    ledger, state, stream = Ledger(place, 1), State(), commits(all_splits)
    while some := dict(islice(stream, COMMITS_PER_FOLD)):
        state = folded(ledger, state, some)
    claim(place, None, state, myself(), {"splits": [split.key for split in all_splits], "input": {}})


def resume(folder: str, units: int) -> None:
    """Do what a run does before its first task, and print seconds, peak memory (MiB) and what is left."""
    before, began = _peak_mib(), time.perf_counter()
    records = read_records(Place(folder, StorageConfig()))
    work = split_rows(splits(units), records.now(), None)
    print(f"{time.perf_counter() - began:.3f} {_peak_mib() - before:.1f} {_peak_mib():.0f} {len(work)}")


def _peak_mib() -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _mib(place: Path) -> float:
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="*", default=[1, 10, 100, 1000])
    parser.add_argument("--resume", nargs=2, metavar=("FOLDER", "UNITS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.resume:
        resume(arguments.resume[0], int(arguments.resume[1]))
        return
    for millions in arguments.millions:
        with tempfile.TemporaryDirectory() as folder:
            units = millions * 1_000_000
            build(Place(folder, StorageConfig()), splits(units))
            command = [sys.executable, "-m", "benchmarks.resume", "--resume", folder, str(units)]
            seconds, more, peak, left = subprocess.run(
                command, capture_output=True, text=True, check=True
            ).stdout.split()
            records = Path(folder, "_gristmill")
            print(
                f"{millions:5,} million units: resumed in {float(seconds):6.2f} s, {float(more):6.1f} MiB more in the driver "
                f"(of {peak} MiB); read {1024 * _mib(records / 'epochs'):7.1f} KiB, catalogue (not read) "
                f"{_mib(records / 'catalogue'):8.1f} MiB; {left} splits left",
                flush=True,
            )


if __name__ == "__main__":
    main()
