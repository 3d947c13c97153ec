"""What is wrong with an artifact, and how that is told."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.ledger.layout import FOLDERS

NAMED = 10  # of many things that are wrong, in the report


@dataclass
class Findings:
    """What is wrong with an artifact, and how much was looked at."""

    damaged: dict[str, str] = field(default_factory=dict)  # part -> what is wrong with it
    miscounted: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)  # ids
    unsettled: list[str] = field(default_factory=list)  # splits
    orphans: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)  # of others
    parts: int = 0
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FOLDERS, 0))
    failed: int = 0

    @property
    def whole(self) -> bool:
        return not any((self.damaged, self.miscounted, self.twice, self.unsettled, self.orphans, self.strays))

    def lines(self) -> Iterator[str]:
        """Say what was found, the worst first."""
        yield from _named("damaged parts", [f"{name}: {what}" for name, what in self.damaged.items()])
        yield from _named("counts that do not fit", self.miscounted)
        yield from _named("ids that stand in more than one row", self.twice)
        yield from _named(
            "splits of the input that are not settled yet (the same run goes on with them)", self.unsettled
        )
        yield from _named("files that belong to no commit", self.orphans)
        yield from _named("files of others among the parts, which readers of the folder take in too", self.strays)
        rows = " and ".join(f"{number:,} {folder}" for folder, number in self.rows.items())
        yield f"looked at {self.parts:,} parts with {rows} rows; {self.failed:,} units failed (see rejected/)"


def _named(what: str, items: list[str]) -> Iterator[str]:
    if items:
        yield f"{what}: {len(items):,}"
        yield from (f"  {item}" for item in items[:NAMED])
        if len(items) > NAMED:
            yield f"  and {len(items) - NAMED:,} more"
