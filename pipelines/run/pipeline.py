"""The contract of a pipeline: what a run must know of one to begin it, to go on with it and to tell of it.

A pipeline is made of its job (the checked settings) by its constructor, which looks at everything that can be wrong before
anything is spent. The rest (who owns the artifact, what counts, resuming) is the same for all and stands in execute.py.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, ClassVar, Self

from cluster.claims import Claims
from cluster.session import ClusterConfig
from operators.storage.place import Place
from pipelines.counts import Counts
from pipelines.flow.board.pace import Pace
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import State
from pipelines.ledger.units import Units
from pipelines.run.card import Card
from pipelines.run.stage import Made, Stage


class Pipeline(ABC):
    """One job of a pipeline.

    `recipe` is what makes it what it is, as the artifact keeps it: `pipeline` (its name), `fingerprint` of what decides the
    content, `config`, `input` (file: bytes and version), `splits` (keys of what is to be done), `all_at_once` (whether each
    file decides what becomes of the others) and `asking` (its stages that ask a model). `cuts` begin the names of the settings
    that decide where units of work begin and end, `units` are what can be done again alone.
    """

    cuts: tuple[str, ...] = ("",)
    units: Units = Units()
    place: Place
    cluster: ClusterConfig
    warnings: tuple[str, ...] | list[str] = ()
    recipe: dict[str, Any]
    card: ClassVar[Card]
    claims: Claims | None = None  # what its own work takes, where more is known of that than when its stage was told
    made: Made = MappingProxyType({})  # what its stages made; there when its own work begins

    @abstractmethod
    def left(self, state: State) -> list:
        """Give what is left to do, nothing where all is settled."""

    def stages(self) -> Iterable[Stage]:
        """Tell what has to be made first."""
        return ()

    def given(self, made: Made) -> Self:
        """Take what the stages made."""
        self.made = made
        return self

    @abstractmethod
    def stream(self, work: list, ledger: Ledger, report: Reporter) -> None:
        """Do what is left, committing to the ledger (see Commit for the form of its counts). Ray is connected.

        For the line of progress workers report counts too: `settled` ({"kept": rows}), `read` (what `of_all` gave the whole
        of, as bytes of `of_bytes`); `pace` reads them.
        """

    def of_all(self, work: list) -> Counts:
        """Say how much there is to do, for the progress line."""
        return {}

    @abstractmethod
    def pace(self) -> Pace:
        """Give what shows the progress."""

    def ready(self, place: Place, ledger: Ledger, state: State, say: Callable[[str], None]) -> State:
        """Take back what has to be done again before the work can go on."""
        return state

    def afterwards(self, counts: Counts) -> list[str]:
        """Say what came out while it ran, from the counts that were reported."""
        return []

    def report(self, state: State) -> dict[str, bytes]:
        """Give files for people, by name, that stand beside the card of the finished artifact."""
        return {}
