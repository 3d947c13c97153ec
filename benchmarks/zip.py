"""The entropy-law selector beside the official algorithm, and what a row costs when many are chosen already.

    python -m benchmarks.zip official --data FOLDER --rows 10000    # many minutes; --rows 1000 takes one
    python -m benchmarks.zip growth --rows 1000000 --budget 10000   # minutes

`official` runs `zip.variant=as_released` and, written anew, the official order of work: each list compressed as a whole for each
candidate. The official code spreads that over processes; here it is one, in CPU seconds, as ours are. It says whether ids and
their order are the same. FOLDER holds *.jsonl.gz with instruction, input and output (the Alpaca rows of shared/data); without it
rows are generated. k1 is 10,000, or all rows where there are fewer.

`growth` runs the default form on generated rows and gives the seconds of the first pass and of a round as the choice grows, with
the threads there are, and the peak memory of the process. CPU seconds say what a round costs; the clock also has what else runs.
"""

import argparse
import gzip
import json
import os
import resource
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.zip import MARK, Zip, ZipConfig

PART_ROWS, MEAN_BYTES, SEED = 5_000, 887, 0
EXCHANGES = (1, 1, 2, 1, 4)  # of the chats, in turn
WRITTEN = {"record": json.dumps, "text": itemgetter("text")}


@dataclass
class StreamedPool:
    """The first rows of a stream of records, made anew each time they are read."""

    rows: int
    stream: Callable[[], Iterator[dict]]

    def columns(self, *names: str) -> Iterator[pa.Table]:
        records = islice(self.stream(), self.rows)
        while part := list(islice(records, PART_ROWS)):
            yield pa.table({name: pa.array(map(WRITTEN[name], part), pa.large_string()) for name in names})


def read(folder: Path) -> Iterator[dict]:
    """Make chats of one to four questions and answers, with an id and a source, as the official code wants them."""
    lines = [
        line for file in sorted(folder.glob("*.jsonl.gz")) for line in gzip.decompress(file.read_bytes()).splitlines()
    ]
    begin = 0
    for number in range(len(lines)):
        size = EXCHANGES[number % len(EXCHANGES)]
        rows = [json.loads(lines[place % len(lines)]) for place in range(begin, begin + size)]
        said = [(f"{row['instruction']}\n{row['input']}".strip(), row["output"]) for row in rows]
        turns = [
            {"from": who, "value": text} for pair in said for who, text in zip(("human", "gpt"), pair, strict=True)
        ]
        yield {"id": f"row-{number}", "source": folder.name, "conversations": turns}
        begin += size


def generated() -> Iterator[dict]:
    """Cut rows of about 887 bytes out of a long text of words that are not equally frequent."""
    dice = np.random.default_rng(SEED)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    words = ["".join(dice.choice(letters, size)) for size in dice.integers(2, 11, 20_000)]
    text = " ".join([words[place] for place in np.minimum(dice.zipf(1.2, 3_000_000), len(words)) - 1])
    number = 0
    while True:
        size = int(dice.gamma(2, (MEAN_BYTES - 30) / 2)) + 1
        start = int(dice.integers(0, len(text) - size))
        yield {"id": f"row-{number}", "text": text[start : start + size]}
        number += 1


def official(records: list[dict], budget: int, k1: int, k2: int, k3: int) -> list[int]:
    """Choose as the official code does, ties by row; float32 and the mark on used rows are its own."""
    state = np.array([_ratio([record]) for record in records], np.float32)
    chosen: list[int] = []
    while len(chosen) < budget:
        behind = [records[row] for row in chosen]
        measured = np.sort(np.argsort(state, kind="stable")[:k1])
        state[measured] = [_ratio([*behind, records[row]]) for row in measured]
        finalists = np.sort(measured[np.argsort(state[measured], kind="stable")[:k2]]).tolist()
        state[finalists] = MARK
        begun: list[int] = []
        for _ in range(k3):
            behind = [records[row] for row in begun]
            left = [row for row in finalists if row not in begun]
            begun.append(left[int(np.argmin(np.array([_ratio([*behind, records[row]]) for row in left], np.float32)))])
        chosen += begun
        print(f"  official: {len(chosen)} chosen, {time.process_time():.0f} CPU seconds", flush=True)
    return chosen


def _ratio(rows: list[dict]) -> float:
    data = str(rows).encode()
    return len(data) / len(zlib.compress(data, 9))


def beside_the_official(pool: StreamedPool, budget: int) -> None:
    """Time ours, the official algorithm and ours again on the same rows, and compare what they choose."""
    config = ZipConfig(k1=min(10_000, pool.rows), variant="as_released")
    records = list(islice(pool.stream(), pool.rows))
    in_memory = StreamedPool(pool.rows, lambda: iter(records))
    before, choice = _timed(lambda: Zip(config)(in_memory, Budget(BudgetConfig(rows=budget))))
    sizes = np.array([len(str(record).encode()) for record in records])
    mean, mean_chosen = sizes.mean(), sizes[choice.positions].mean()
    print(f"{pool.rows:,} rows of {mean:.0f} bytes, chosen ones of {mean_chosen:.0f}, zlib {choice.notes['zlib']}")
    print(f"ours {before:.1f} CPU seconds", flush=True)
    seconds, chosen = _timed(lambda: official(records, budget, config.k1, config.k2, config.k3))
    after, _ = _timed(lambda: Zip(config)(in_memory, Budget(BudgetConfig(rows=budget))))
    same = choice.positions.tolist() == list(dict.fromkeys(chosen))
    print(
        f"official {seconds:.1f}, ours again {after:.1f} CPU seconds: {2 * seconds / (before + after):.1f} times as fast"
    )
    print(f"{len(set(chosen))} different of {len(chosen)} rows; ids and order {'the same' if same else 'NOT THE SAME'}")


def _timed(work: Callable) -> tuple[float, Any]:
    """Run it: CPU seconds of all threads, and what it gives."""
    begin = time.process_time()
    given = work()
    return time.process_time() - begin, given


@dataclass(frozen=True)
class WatchedBudget(Budget):
    """A budget that notes when it is asked: before each round, and at the end."""

    asked: list[tuple[int, float, float]] = field(default_factory=list)

    def prefix(self, positions: np.ndarray) -> np.ndarray:
        self.asked.append((len(positions), time.perf_counter(), time.process_time()))
        return super().prefix(positions)


def growth(pool: StreamedPool, budget: int) -> None:
    """Time the first pass and each round."""
    begin = time.perf_counter()
    for _ in pool.columns("text"):
        pass
    making = time.perf_counter() - begin
    watched, begin, begin_cpu = WatchedBudget(BudgetConfig(rows=budget)), time.perf_counter(), time.process_time()
    Zip(ZipConfig())(pool, watched)
    total, total_cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    threads = len(os.sched_getaffinity(0))
    print(
        f"{pool.rows:,} rows, budget {budget:,}, {threads} threads: {total:.0f} s, {total_cpu:.0f} CPU seconds in all"
    )
    _, first, first_cpu = watched.asked[0]
    print(
        f"first pass {first - begin:.1f} s, {first_cpu - begin_cpu:.1f} CPU seconds, of which {making:.1f} make the rows"
    )
    asked = np.array(watched.asked[:-1])
    rounds = np.column_stack([asked[:-1, 0], np.diff(asked[:, 1:], axis=0)])
    print("chosen before  seconds  CPU seconds of a round (mean of five)")
    for at in sorted({0, *(min(round(share * len(rounds)), len(rounds) - 5) for share in (0.1, 0.25, 0.5, 0.75, 1))}):
        five = rounds[at : at + 5]
        print(f"{int(five[0, 0]):13,}  {five[:, 1].mean():7.2f}  {five[:, 2].mean():7.2f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["official", "growth"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--budget", type=int, default=300)
    given = parser.parse_args()
    pool = StreamedPool(given.rows, partial(read, given.data) if given.data else generated)
    (beside_the_official if given.what == "official" else growth)(pool, given.budget)


if __name__ == "__main__":
    main()
