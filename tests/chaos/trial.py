"""One trial: a run is struck, resumed as often as it takes, and judged by what is in its artifact at the end."""

import time
from dataclasses import dataclass, field

import psutil

from tests.chaos.hits import HITS
from tests.chaos.processes import ENGINE, Family, Run, wait_for
from tests.chaos.rows import Difference, compare, read_rows
from tests.chaos.scene import Scene
from tests.chaos.strikes import Strike
from tests.fakes.ray_nodes import Nodes

MOST_RESUMES, LONGEST_RUN_S = 6, 180.0
PATIENCE_S = 8.0  # for the processes of a run that has ended


@dataclass
class Outcome:
    """What became of a trial. `first_s` and `end_s`: seconds from each resume to its first request and to its end.

    `fell` tells of runs that ended though nothing was struck that a run cannot do without; `failures` of anything worse.
    """

    hits: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    difference: Difference = field(default_factory=Difference)
    reissued: int = 0
    most_reissued: int = 0  # after one strike, up to the next
    first_s: list[float] = field(default_factory=list)
    end_s: list[float] = field(default_factory=list)
    fell: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)  # processes that outlived their run

    @property
    def good(self) -> bool:
        return not (self.difference or self.failures or self.fell)


class Trial:
    """Carries one artifact through its strikes. `joined` runs on a cluster of several nodes, not on Ray's own here."""

    def __init__(self, scene: Scene, name: str, place: str, joined: bool):
        self.scene, self.name = scene, name
        self.output = scene.output(name, place)
        self.nodes = Nodes() if joined else None
        self.families = [Family(self.nodes.process.pid)] if joined else []
        self.outcome, self.excess, self.runs = Outcome(), [0], []
        self.run: Run | None = None
        self.awaits_first = self.timed = self.expected_to_die = self.done = False

    def carry_out(self, strikes: list[Strike]) -> Outcome:
        """Run, strike, resume to the end and judge."""
        self.total = self.scene.undisturbed.requests
        self.scene.server.clear()
        try:
            self.start()
            for strike in strikes:
                self.settle()
                if self.done:
                    break
                if self.run is None:
                    self.start()
                if self.reached(strike):
                    self.hit(strike)
            self.finish()
        finally:
            self.clean_up()
        self.judge()
        return self.outcome

    def start(self, timed: bool = True) -> Run:
        """Start the command, for the first time or to go on; it is the run that strikes fall on.

        `timed`: nothing else sends requests meanwhile, so that the first new one is this run's.
        """
        address = self.nodes.address if self.nodes else None
        self.run = self.scene.start(self.output, f"{self.name}-{len(self.runs)}", address)
        self.runs.append(self.run)
        self.families.append(self.run.family)
        self.awaits_first = self.expected_to_die = False
        self.mark = self.begun_at = self.requests()
        self.awaits_first = self.timed = timed and len(self.runs) > 1
        return self.run

    def requests(self) -> int:
        """Ask the endpoint how many requests came, and look who is there."""
        self.stats = self.scene.server.stats()
        for family in self.families[-3:]:
            family.look()
        if self.awaits_first:
            self._await_first(self.stats["requests"])
        return self.stats["requests"]

    def _await_first(self, requests: int) -> None:
        """Note the first request since this run has an engine: before, they are of a killed run's, which lives on a moment."""
        if not self.has_engine():
            self.begun_at = requests
        elif requests > self.begun_at:
            self.awaits_first = False
            self.outcome.first_s.append(time.monotonic() - self.run.began)

    def workers(self) -> dict[psutil.Process, str]:
        """Give Ray's workers of this run (on a cluster of its own: all that are there), with their titles."""
        return (self.families[0] if self.nodes else self.run.family).workers()

    def has_engine(self) -> bool:
        return any(ENGINE in title for title in self.workers().values())

    def reached(self, strike: Strike) -> bool:
        """Wait for the moment of a strike. False if the run ends before."""

        def due() -> bool:
            requests = self.requests()
            all_there = self.stats["distinct"] >= self.total and not self.stats["in_flight"]
            return self.run.code is not None or (
                all_there if strike.after is None else requests - self.mark >= strike.after
            )

        wait_for(due, LONGEST_RUN_S)
        time.sleep(strike.delay_s)
        return self.run.code is None

    def hit(self, strike: Strike) -> None:
        """Let a strike fall."""
        self.requests()
        self.excess.append(self.stats["requests"] - self.stats["distinct"])
        told = HITS[strike.target](self, strike)
        if told:
            self.outcome.hits.append(told)
        self.mark = self.requests()

    def ended(self) -> bool:
        self.requests()
        return self.run.code is not None

    def settle(self) -> None:
        """If the run has ended, take down how."""
        if self.run is None or self.run.code is None:
            return
        run, self.run = self.run, None
        self.outcome.codes.append(run.code)
        self.done = run.code == 0
        if self.done and self.timed:
            self.outcome.end_s.append(time.monotonic() - run.began)
        if run.code != 0 and not self.expected_to_die:
            after = self.outcome.hits[-1] if self.outcome.hits else "nothing"
            self.outcome.fell.append(f"exit code {run.code} after {after}; its last words:\n{run.last_words()}")

    def finish(self) -> None:
        """Go on until a run ends well."""
        for _ in range(MOST_RESUMES):
            if self.run and not wait_for(self.ended, LONGEST_RUN_S):
                self.outcome.failures.append(f"no end within {LONGEST_RUN_S:.0f} s:\n{self.run.last_words()}")
                self.run.process.kill()
                self.run.process.wait()
                self.expected_to_die = True
            self.settle()
            if self.done:
                return
            self.start()
        self.outcome.failures.append(f"not finished after {MOST_RESUMES} resumes:\n{self.run.last_words()}")

    def replace_nodes(self) -> None:
        """Take down what is left of the cluster and start a new one."""
        self.families[0].end(0)
        self.nodes.process.wait()
        self.nodes = Nodes()
        self.families[0] = Family(self.nodes.process.pid)

    def clean_up(self) -> None:
        """Leave no process behind, and tell which were."""
        for run in self.runs:
            if run.code is None:
                run.process.kill()
                run.process.wait()
        for family in self.families[1 if self.nodes else 0 :]:
            self.outcome.left_behind += family.end(0 if self.nodes else PATIENCE_S)
        if self.nodes:
            self.nodes.process.stdin.close()
            self.families[0].end(PATIENCE_S)
            self.nodes.process.wait()

    def judge(self) -> None:
        """Compare what is there with what should be."""
        outcome, stats = self.outcome, self.scene.server.stats()
        self.excess.append(stats["requests"] - stats["distinct"])
        outcome.reissued = stats["requests"] - self.total
        outcome.most_reissued = max(after - before for before, after in zip(self.excess, self.excess[1:], strict=False))
        if not self.done:
            return
        outcome.difference = compare(read_rows(self.scene.place(self.output)), self.scene.undisturbed.rows)
        if self.scene.verifies and (trouble := self.scene.verify(self.output)):
            outcome.failures.append(trouble)
