"""A pipeline that asks a model about what it reads, order by order: what is the same for all of them."""

import json
from typing import Any

from operators.storage.base import Split
from pipelines.counts import Counts
from pipelines.flow.engines.pace import RequestPace, speed
from pipelines.flow.input.files import bytes_of
from pipelines.flow.stream.read import split_rows
from pipelines.ledger.records import State
from pipelines.run.pipeline import Pipeline


class AskingPipeline(Pipeline):
    """`job` has the blocks `input`, `engine`, `commit` and `faults`; `splits` are those of its input."""

    job: Any
    splits: list[Split]

    def left(self, state: State) -> list[dict]:
        return split_rows(self.splits, state, self.job.input.limit)

    def of_all(self, work: list[dict]) -> Counts:
        items = (item["split"] for row in work for item in json.loads(row["work"]))
        return {"read": {"of_bytes": bytes_of([Split(**item) for item in items])}}

    def pace(self) -> RequestPace:
        return RequestPace()

    def afterwards(self, counts: Counts) -> list[str]:
        said = [speed(counts["engine"])]
        if repeated := counts["read"].get("repeated_ids"):
            said.append(
                f"note: {repeated:,} documents have the id of another one. All are kept; `id` tells their rows apart."
            )
        return said
