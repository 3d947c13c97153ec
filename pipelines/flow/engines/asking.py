"""What a stage that asks a model is made of."""

from collections.abc import Callable
from dataclasses import dataclass

from operators.models.chains import Chains
from operators.models.engines import EngineConfig
from operators.models.engines.base import Engine
from pipelines.flow.engines.chained import Chained
from pipelines.flow.faults.config import CommitConfig, FaultConfig


@dataclass(frozen=True)
class Asking:
    """The stage's name, an operator (given as a function from its engine to it), and what both are told.

    Where its rows are `chained` along documents, an order must hold whole documents (see cut): they stay with one engine, and
    what is finished of an order goes on its way before the rest is (see BesideEngine).
    """

    stage: str
    operator: Callable[[Engine], Chains]
    engine: EngineConfig
    commit: CommitConfig
    faults: FaultConfig
    chained: Chained | None = None
