"""The stages of a run: each when what it reads is there, side by side where there is room."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cluster.claims import Claims
from cluster.errors import NoCluster, in_a_line
from pipelines.counts import Counts
from pipelines.exits import CODES, RunFailed
from pipelines.flow.board.pace import clock
from pipelines.flow.board.scoreboard import start_board
from pipelines.ledger.artifacts import Reference, digest
from pipelines.ledger.layout import STAGES
from pipelines.ledger.records import State
from pipelines.run.pipeline import Pipeline
from pipelines.run.stage import Made, Stage

DONE, RUNNING, WAITING, FAILED = "done", "running", "waiting", "failed"
MARKS = {DONE: "✓", RUNNING: "▸", WAITING: "·", FAILED: "✗"}
AT_ONCE = 16  # stages, or one for each GPU where there are more: each has a process beside the driver
LOOK_S = 1.0  # how often what runs is looked at, so that Ctrl-C is heard


@dataclass
class Running:
    """A stage at work in a process of its own, and what it reports."""

    stage: Stage
    pipeline: Pipeline
    board: Any
    began: float = field(default_factory=time.monotonic)
    told: bool = False  # that it waits

    def __post_init__(self):
        self.pace = self.pipeline.pace()

    def line(self) -> str:
        counts = self.read()
        return "waits for another run" if counts["latest"].get("waits") else self.pace.line(counts)

    def waits(self) -> bool:
        """Whether another run is at work on the same artifact."""
        return bool(self.read()["latest"].get("waits"))

    def read(self) -> Counts:
        import ray

        return ray.get(self.board.read.remote())


class Schedule:
    """Runs the stages of a run. `work` runs one pipeline (handed it, its stage's name, its scoreboard) and gives the error
    that ended it, None where it is done; `complete` tells whether nothing is left of one. The list of the stages stands beside
    the artifact of the run, for `gristmill status`.

    Raises NoCluster where one of them will want more than the cluster has. One that is joined may grow until then, and the
    user is only told.
    """

    def __init__(
        self,
        run: Pipeline,
        stages: Iterable[Stage],
        work: Callable[[Pipeline, str, Any], Exception | None],
        complete: Callable[[Pipeline], bool],
        say: Callable[[str], None],
    ):
        self.of, self.work, self.complete, self.say = run, work, complete, say
        self.stages: dict[str, Stage] = {}
        self.built: dict[str, Pipeline] = {}
        self.amounts: dict[str, str] = {}  # of what is built, in words
        self.running: dict[Any, Running] = {}  # by the reference to its task
        self.made: dict[str, Reference] = {}
        self.failed: dict[str, Exception] = {}
        self.noted: dict[str, None] = {}  # in the order in which it came
        self._add(stages)

    def run(self) -> Made:
        """Run all, and give their artifacts. What runs beside a stage that fails goes on to its end; nothing begins after it.

        Raises the error of the first that failed.
        """
        import ray

        self._record()
        while self.failed or len(self.made) < len(self.stages):
            begun = [self._begin(stage) for stage in self._ready()]
            if self.running:
                ended, _ = ray.wait(list(self.running), num_returns=1, timeout=LOOK_S)
                for task in ended:
                    self._end(task)
                self._tell_who_waits()
            elif self.failed:
                raise next(iter(self.failed.values()))
            elif not any(begun):
                waiting = ", ".join(name for name in self.stages if name not in self.made)
                raise RunFailed(f"these stages wait for what no stage makes: {waiting}.")
        return self.made

    def lines(self, whole: bool) -> list[str]:
        """Tell how the stages stand: all of them, or those alone that are at work."""
        at_work = {one.stage.name: one.line() for one in list(self.running.values())}
        width = max(map(len, self.stages)) + 2
        told = self.stages if whole else at_work
        return [
            f"{MARKS[self._state(name)]} {name:{width}}{at_work.get(name) or self._amount(name)}".rstrip()
            for name in list(told)
        ]

    def notes(self) -> list[str]:
        """Give what the user should be told of the stages so far."""
        for one in list(self.running.values()):
            self._noted(one)
        return list(self.noted)

    def _noted(self, one: Running) -> None:
        self.noted |= dict.fromkeys(one.read()["notes"])

    def _add(self, stages: Iterable[Stage]) -> None:
        for stage in stages:
            if stage.name not in self.stages:  # several may need the same
                self.stages[stage.name] = stage
                self._require_room(stage)

    def _require_room(self, stage: Stage) -> None:
        """Ask for the room before anything is spent on what stands before the stage."""
        if lacks := stage.claims.lacks():
            if not self.of.cluster.address:
                raise NoCluster(f"{stage.name}: {lacks}")
            self.say(f"note: {stage.name}, when it is its turn: {lacks}")

    def _ready(self) -> list[Stage]:
        at_work = {one.stage.name for one in self.running.values()}
        waiting = (stage for name, stage in self.stages.items() if name not in self.made and name not in at_work)
        return [stage for stage in waiting if self.made.keys() >= set(stage.after)]

    def _begin(self, stage: Stage) -> bool:
        """Begin a stage where there is room, or take what it made where nothing is left of it; tell whether either was so."""
        if self.failed:
            return False
        try:
            if stage.name not in self.built:
                self.built[stage.name] = pipeline = stage.build(self.made)
                self.amounts[stage.name] = amount_of(pipeline)
                self._note_warnings(stage.name, pipeline)
                if self.complete(pipeline):
                    self._finish(stage)
                    return True
        except tuple(CODES) as error:
            self._fail(stage, error)
            return False
        if len(self.running) >= at_once() or not self._fits(stage):
            return False
        self._start(stage, self.built[stage.name])
        return True

    def _note_warnings(self, name: str, pipeline: Pipeline) -> None:
        """Have the user told what a stage warns of, unless its run has said that when it began."""
        self.noted |= {f"{name}: {line}": None for line in pipeline.warnings if line not in self.of.warnings}

    def _fits(self, stage: Stage) -> bool:
        """Whether a stage's claims fit beside those of what runs; alone each does."""
        from cluster.resources import room

        claims, there = [self._claims(one.stage).all() for one in self.running.values()], room()
        needed = self._claims(stage).all()
        return not claims or all(sum(c[kind] for c in claims) + needed[kind] <= there[kind] for kind in there)

    def _claims(self, stage: Stage) -> Claims:
        return self.built[stage.name].claims or stage.claims

    def _start(self, stage: Stage, pipeline: Pipeline) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        task = ray.remote(self.work).options(num_cpus=0, max_retries=0, scheduling_strategy=here)
        board = start_board()
        self.running[task.remote(pipeline, stage.name, board)] = Running(stage, pipeline, board)
        self._record()

    def _tell_who_waits(self) -> None:
        for one in self.running.values():
            if not one.told and one.waits():
                one.told = True
                self.say(f"waiting: another run is at work on {one.pipeline.place.url}")

    def _end(self, task: Any) -> None:
        import ray

        one = self.running.pop(task)
        self._noted(one)
        one.board.close.remote()
        try:
            error = ray.get(task)
        except ray.exceptions.RayError as ended:
            # Of what is raised in the task, which nobody foresaw, Ray gives an error of the same type too.
            what = "ended by" if isinstance(ended, ray.exceptions.RayTaskError) else "lost its process:"
            error = RunFailed(f"{one.stage.name!r} {what} {in_a_line(ended)}. The same command goes on.")
            error.__cause__ = ended
        if error:
            self._fail(one.stage, error)
            return
        self.say(f"done: {one.stage.name} · {clock(time.monotonic() - one.began)} · {one.pipeline.place.url}")
        try:
            self._finish(one.stage)
        except tuple(CODES) as error:  # what came out is not enough to go on
            self._fail(one.stage, error)

    def _fail(self, stage: Stage, error: Exception) -> None:
        if self.running:
            others = ", ".join(other.stage.name for other in self.running.values())
            self.say(f"{stage.name} failed: {error}\nwaiting for what runs beside it: {others}")
        self.failed[stage.name] = error
        self._record()

    def _finish(self, stage: Stage) -> None:
        pipeline = self.built[stage.name]
        recipe = pipeline.recipe
        self.made[stage.name] = Reference(recipe["pipeline"], pipeline.place.url, digest(recipe))
        if stage.then:
            self._add(stage.then(self.made))
        self._record()

    def _record(self) -> None:
        """Write down the stages, for people and `status`: nothing goes on from it."""
        places = {name: pipeline.place.url for name, pipeline in self.built.items()}
        told = [
            {
                "name": name,
                "makes": stage.makes,
                "after": stage.after,
                "amount": self._amount(name),
                "url": places.get(name),
                "failed": str(self.failed[name]) if name in self.failed else None,
            }
            for name, stage in self.stages.items()
        ]
        self.of.place.publish(STAGES, json.dumps(told, indent=1).encode())

    def _amount(self, name: str) -> str:
        """Say how much a stage has to do in all, as far as that is known."""
        return self.amounts.get(name) or self.stages[name].amount

    def _state(self, name: str) -> str:
        if name in self.made:
            return DONE
        if name in self.failed:
            return FAILED
        return RUNNING if any(one.stage.name == name for one in list(self.running.values())) else WAITING


def amount_of(pipeline: Pipeline) -> str:
    """Say how much a pipeline has to do in all, as it counts that for its line of progress: 1,000 rows, 300 steps."""
    counts = pipeline.of_all(pipeline.left(State())).get("read", {})
    return ", ".join(
        f"{count:,} {name.removeprefix('of_')}" for name, count in counts.items() if name.startswith("of_")
    )


def at_once() -> int:
    """Count the stages that may be at work at a time, whatever they claim."""
    from cluster.resources import gpus

    return max(AT_ONCE, gpus())
