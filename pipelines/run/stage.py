"""The contract of a stage: work of a pipeline that is told before it can be built."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.claims import A_CPU, Claims
from pipelines.ledger.artifacts import Reference

Made = Mapping[str, Reference]  # the artifacts of the stages that are finished, by the names of these


@dataclass(frozen=True)
class Stage:
    """Work whose artifact a pipeline reads, or another of its stages.

    `name` is what people read, and what other stages refer to. `makes` is the kind of its artifact. `build` gives the pipeline
    (pipelines/run/pipeline.py) that makes it, once all stages in `after` are finished: it is handed their artifacts. It runs
    where there is room for what it `claims`, or for what the built pipeline claims, which may know that it is less. `amount`
    says how much there is to do, in words such as "300 steps", where that is known before it is built. `then` gives stages that
    follow from what came out, where a loop goes on by that.
    """

    name: str
    makes: str
    build: Callable[[Made], Any]
    after: tuple[str, ...] = ()
    claims: Claims = A_CPU
    amount: str = ""
    then: Callable[[Made], Iterable["Stage"]] | None = None
