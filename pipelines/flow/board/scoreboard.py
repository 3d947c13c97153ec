"""What all processes of a run report, in one Ray actor."""

from pipelines.counts import Counts, add_counts
from pipelines.flow.board.tracker import Tracker
from pipelines.flow.board.verdicts import Verdicts
from pipelines.reasons import Blame


class Scoreboard(Tracker, Verdicts):
    """Collects what all processes of a run report. Lives in a Ray actor; who reports counts does not wait for it."""

    def __init__(self):
        Tracker.__init__(self)
        Verdicts.__init__(self)
        self.counts: Counts = {}
        self.engines: dict[str, dict] = {}
        self.failure: str | None = None
        self.asked_wrongly, self.blamed = False, ()
        self.latest: dict = {}
        self.noticed: str | None = None
        self.notes: dict[str, None] = {}  # in the order in which they came
        self.over = False

    def add(self, counts: Counts) -> None:
        """Add counts to those that are there."""
        self.counts = add_counts(self.counts, counts)

    def engine(self, name: str, state: dict) -> None:
        """Take the latest state of an engine: its requests and tokens so far, and when it began and last answered."""
        self.engines[name] = state

    def engine_starts(self, actor: str) -> tuple[int, int, bool]:
        for name, state in self.engines.items():
            if name.startswith(actor):
                state["in_flight"] = 0  # in an earlier life of the actor
        return super().engine_starts(actor)

    def fail(self, message: str, asked_wrongly: bool = False, blamed: tuple[Blame, ...] = ()) -> None:
        """Take down why the run cannot go on, whether that is a bad request, and what was charged to rows for it.

        The first to say so is right.
        """
        if self.failure is None:
            self.failure, self.asked_wrongly, self.blamed = message, asked_wrongly, tuple(blamed)

    def why(self) -> str | None:
        return self.failure

    def is_bad_request(self) -> bool:
        return self.asked_wrongly

    def is_blamed(self) -> tuple[Blame, ...]:
        return self.blamed

    def note(self, line: str) -> None:
        """Take down what the user should be told while the run goes on."""
        self.notes.setdefault(line)

    def notice(self, message: str) -> None:
        """Take down an error that the run may outlive."""
        self.noticed = message

    def last_notice(self) -> str | None:
        return self.noticed

    def tell(self, state: dict) -> None:
        """Take down how things stand, in the place of how they stood."""
        self.latest = state

    def close(self) -> None:
        """Take down that the run is over."""
        self.over = True

    def is_over(self) -> bool:
        return self.over

    def read(self) -> Counts:
        """Give all counts, those of all engines together under `engine`, and under `notes` what the user should be told."""
        states = list(self.engines.values())
        sums = add_counts(*({k: v for k, v in state.items() if k not in ("began", "last")} for state in states))
        began, last = (pick((s[key] for s in states), default=0.0) for pick, key in ((min, "began"), (max, "last")))
        told = {"latest": self.latest, "notes": list(self.notes)}
        return {"read": {}} | self.counts | told | {"engine": sums | {"seconds": last - began}}


def start_board():
    """Start the scoreboard in an actor beside the driver, without which it is not needed. One that dies starts again, empty."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return (
        ray.remote(Scoreboard)
        .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
        .remote()
    )
