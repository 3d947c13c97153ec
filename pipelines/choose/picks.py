"""Rows of a pool in the order in which they were picked, with memory for a part of them."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from operators.examples.base import ExampleConfig, example_of
from pipelines.pool.artifact import PoolArtifact

PICKS_PER_PART = 2**14
CHAT = pa.list_(pa.struct([("role", pa.string()), ("content", pa.large_string())]))


def chosen_rows(
    pool: PoolArtifact, examples: ExampleConfig, positions: np.ndarray, beside: dict[str, pa.Array], scratch: Path
) -> Iterator[pa.Table]:
    """Give the rows at some positions, all different, in that order, a part at a time, with columns of the picks `beside` them.

    The pool is read once, in its own order; rows wait in files of `scratch`, one for each part that comes out.
    """
    order = np.argsort(positions, kind="stable")
    files: dict[int, pa.RecordBatchFileWriter] = {}
    begin = 0
    for part in pool.parts:
        picks = order[slice(*np.searchsorted(positions[order], [begin, begin + part.rows]))]
        if len(picks):
            rows = pool.load(part).take(pa.array(positions[picks] - begin))
            _put(files, rows.select(["id", "record"]), picks, scratch)
        begin += part.rows
    beside = {"position": pa.array(positions, pa.int64())} | beside
    for number in sorted(files):
        files[number].close()
        yield _part(scratch / f"rows-{number}.arrow", examples, beside)


def _put(files: dict, rows: pa.Table, picks: np.ndarray, scratch: Path) -> None:
    """Lay rows down in the files of the parts that their picks belong to."""
    rows = rows.append_column("pick", pa.array(picks, pa.int64()))
    numbers = picks // PICKS_PER_PART
    for number in np.unique(numbers).tolist():
        if number not in files:
            files[number] = pa.ipc.new_file(scratch / f"rows-{number}.arrow", rows.schema)
        files[number].write_table(rows.filter(pa.array(numbers == number)))


def _part(file: Path, examples: ExampleConfig, beside: dict[str, pa.Array]) -> pa.Table:
    """Read the rows of a part back, in the order of their picks."""
    with pa.memory_map(str(file)) as handle:
        rows = pa.ipc.open_file(handle).read_all().sort_by("pick")
    read = [example_of(json.loads(record), examples) for record in rows["record"].to_pylist()]
    columns = {
        "id": rows["id"],
        "pick": rows["pick"],
        # Null where the row is plain text, and the other way round.
        "messages": pa.array([[vars(turn) for turn in each.turns] or None for each in read], CHAT),
        "text": pa.array([None if each.turns else each.text for each in read], pa.large_string()),
        "record": rows["record"],
    }
    return pa.table(columns | {name: values.take(rows["pick"].combine_chunks()) for name, values in beside.items()})
