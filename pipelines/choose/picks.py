"""Rows of a pool in the order in which they were picked, with memory for a part of them."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from operators.examples.base import PARTS, Example, ExampleConfig, Turn, example_of
from pipelines.pool.artifact import PoolArtifact

PICKS_PER_PART = 2**14
# Of a turn beside role and content, where a row of the pool has it: as records call it, and as it is written.
BESIDE = {
    "reasoning_content": (pa.large_string(), lambda turn: turn.reasoning or None),
    "tool_calls": (pa.large_string(), lambda turn: turn.calls or None),  # JSON
    "name": (pa.string(), lambda turn: turn.name or None),
    "tool_call_id": (pa.string(), lambda turn: turn.call_id or None),
    "weight": (pa.int8(), lambda turn: None if turn.learned is None else int(turn.learned)),
}


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
        yield _part(scratch / f"rows-{number}.arrow", examples, beside, set(pool.carries))


def _put(files: dict, rows: pa.Table, picks: np.ndarray, scratch: Path) -> None:
    """Lay rows down in the files of the parts that their picks belong to."""
    rows = rows.append_column("pick", pa.array(picks, pa.int64()))
    numbers = picks // PICKS_PER_PART
    for number in np.unique(numbers).tolist():
        if number not in files:
            files[number] = pa.ipc.new_file(scratch / f"rows-{number}.arrow", rows.schema)
        files[number].write_table(rows.filter(pa.array(numbers == number)))


def _part(file: Path, examples: ExampleConfig, beside: dict[str, pa.Array], carries: set[str]) -> pa.Table:
    """Read the rows of a part back, in the order of their picks."""
    with pa.memory_map(str(file)) as handle:
        rows = pa.ipc.open_file(handle).read_all().sort_by("pick")
    read = [example_of(json.loads(record), examples) for record in rows["record"].to_pylist()]
    columns = {"id": rows["id"], "pick": rows["pick"]} | _said(read, carries) | {"record": rows["record"]}
    return pa.table(columns | {name: values.take(rows["pick"].combine_chunks()) for name, values in beside.items()})


def _said(read: list[Example], carries: set[str]) -> dict[str, pa.Array]:
    """Give what is said: messages are null where a row is plain text, and the other way round. `parts` has the columns that a
    question was joined from, which templates frame one by one. `carries` names what rows of the pool have beside that.
    """
    kinds = {name: kind for name, kind in BESIDE.items() if name in carries}
    fields = [
        ("role", pa.string()),
        ("content", pa.large_string()),
        *((name, kind) for name, (kind, _) in kinds.items()),
    ]

    def message(turn: Turn) -> dict:
        return {"role": turn.role, "content": turn.content} | {name: of(turn) for name, (_, of) in kinds.items()}

    chats = [[message(turn) for turn in each.turns] or None for each in read]
    columns = {
        "messages": pa.array(chats, pa.list_(pa.struct(fields))),
        "text": pa.array([None if each.turns else each.text for each in read], pa.large_string()),
        PARTS: pa.array([each.parts or None for each in read], pa.list_(pa.large_string())),
    }
    tools = pa.array([each.tools or None for each in read], pa.large_string())
    return columns | ({"tools": tools} if "tools" in carries else {})
