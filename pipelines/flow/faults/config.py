"""What a run does about faults, and how much it may lose."""

from dataclasses import dataclass

from operators.errors import BadRequest
from operators.settings import setting

CALLS = 128  # of an order, about: enough to keep Ray's cost per order small, few enough to lose little with one


@dataclass
class FaultConfig:
    """What is done about rows and engines that hang."""

    deadline_s: float = setting(
        600.0,
        "seconds: a row that is worked on for longer is rejected, an engine that answers nothing for longer is restarted",
        identity=False,
    )

    def __post_init__(self):
        if not self.deadline_s > 0:
            raise BadRequest(f"faults.deadline_s is a number of seconds above 0, got {self.deadline_s}.")


@dataclass
class AnswerFaults(FaultConfig):
    """And about answers."""

    give_up_share: float | None = setting(
        0.95,
        "share of a style's newest 1000 answers (at least 20, or 100 where a rule turns them down) that come to nothing for one "
        "reason, at which the run stops: the engine or the settings are to blame, not the documents; null: never",
        identity=False,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.give_up_share is not None and not 0 < self.give_up_share <= 1:
            raise BadRequest(
                f"faults.give_up_share is a share above 0 up to 1 or null, got {self.give_up_share}. For 95% write 0.95."
            )


@dataclass
class CommitConfig:
    """How much may be lost when everything dies at once."""

    max_uncommitted_requests: int = setting(
        2000, "requests per engine copy that may be under way or answered, and not yet committed", identity=False
    )

    def __post_init__(self):
        if self.max_uncommitted_requests < 1:
            raise BadRequest(
                f"commit.max_uncommitted_requests is a number of requests from 1, got {self.max_uncommitted_requests}."
            )

    @property
    def calls_per_order(self) -> int:
        """Calls that are committed or lost together at the least."""
        return max(1, min(CALLS, self.max_uncommitted_requests // 4))

    def orders_per_part(self, rows_per_part: int, calls_per_chunk: int) -> int:
        """Give the orders that are committed together: so few that an engine never waits for its own orders to be committed."""
        calls = min(rows_per_part, self.max_uncommitted_requests // 4)
        return max(1, calls // (self.calls_per_order + calls_per_chunk))
