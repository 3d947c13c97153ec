"""What of an artifact can be taken back and done again alone."""

from collections.abc import Collection
from dataclasses import dataclass

from pipelines.reasons import has_failed


@dataclass(frozen=True)
class Units:
    """The units of an artifact: rows of a chunk, which the column `kind` tells apart (null: the row is a whole document).

    Where `whole_commits`, nothing less than a commit is taken back. `asking` are the stages that ask a model, `beside` is the
    kind of rows that stand beside those that are asked about, where there are such.
    """

    kind: str = "style"
    asking: Collection[str] = ()
    whole_commits: bool = True
    beside: str | None = None

    def has_failed(self, reason: str) -> bool:
        return has_failed(reason, self.asking)
