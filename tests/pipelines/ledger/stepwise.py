"""A storage whose every operation is a step, so that a test can try all orders in which several runs may take theirs.

A run is an ordinary function of a place. It is taken one step further by running it again from its beginning: the steps that
it has taken give what they gave then, the next is done in the storage as it is now, and at the one after it is paused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


class Paused(BaseException):
    """The run has taken its step."""


Files = dict[str, bytes]
Run = Callable[["StepwisePlace"], Any]


@dataclass
class StepwisePlace:
    """Looks like operators.storage.filesystem.Place. `conditional`: its `create` is one step."""

    files: Files
    history: list = field(default_factory=list)
    conditional: bool = True
    url: str = "memory"

    def __post_init__(self):
        self.at, self.budget = 0, 1
        self.told: set = set()  # what the run wants its observer to know

    def publish(self, name: str, data: bytes) -> None:
        self._step(lambda: self.files.update({name: data}))

    def create(self, name: str, data: bytes) -> bool:
        if self.conditional:
            return self._step(lambda: self.files.setdefault(name, data) is data)
        if self.exists(name):
            return False
        self.publish(name, data)
        return True

    def read(self, name: str) -> bytes:
        content = self._step(lambda: self.files.get(name))
        if content is None:
            raise FileNotFoundError(name)
        return content

    def read_all(self, names: list[str]) -> list[bytes]:
        return [self.read(name) for name in names]

    def names(self, folder: str) -> list[str]:
        return self._step(lambda: sorted(name for name in self.files if name.rpartition("/")[0] == folder))

    def folders(self, folder: str) -> list[str]:
        return []  # no model's files are written here

    def leftovers(self, folder: str) -> list[str]:
        return []

    def exists(self, name: str) -> bool:
        return self._step(lambda: name in self.files)

    def remove(self, name: str) -> None:
        self._step(lambda: self.files.pop(name, None) and None)

    def _step(self, operation: Callable[[], Any]) -> Any:
        if self.at == len(self.history):
            if not self.budget:
                raise Paused
            self.budget -= 1
            self.history.append(operation())
        self.at += 1
        return self.history[self.at - 1]


@dataclass(frozen=True)
class World:
    """The files, what each run has seen so far, and what each has told; `over` are the runs that have ended."""

    files: tuple
    histories: tuple
    over: tuple
    told: tuple

    @classmethod
    def begin(cls, files: Files, runs: int) -> "World":
        return cls(tuple(sorted(files.items())), ((),) * runs, (False,) * runs, (frozenset(),) * runs)

    def after(self, run: Run, index: int, conditional: bool) -> "World":
        """Give the world after one more step of a run."""
        place = StepwisePlace(dict(self.files), list(self.histories[index]), conditional)
        over = True
        try:
            run(place)
        except Paused:
            over = False
        return World(
            tuple(sorted(place.files.items())),
            _put(self.histories, index, tuple(_frozen(seen) for seen in place.history)),
            _put(self.over, index, over),
            _put(self.told, index, frozenset(place.told)),
        )


def worlds(runs: list[Run], files: Files, conditional: bool, most: int) -> Iterator[World]:
    """Yield all worlds that can come about, whoever takes the next step; a run that died is one that takes no more.

    Raises OverflowError where there are more than `most`.
    """
    first = World.begin(files, len(runs))
    seen, ahead = {first}, [first]
    while ahead:
        world = ahead.pop()
        yield world
        for index, run in enumerate(runs):
            if not world.over[index]:
                other = world.after(run, index, conditional)
                if other not in seen:
                    seen.add(other)
                    ahead.append(other)
        if len(seen) > most:
            raise OverflowError(f"more than {most} worlds")


def run_alone(run: Run, files: Files, conditional: bool, most: int = 10_000) -> Any:
    """Let a run go on to its end with nobody else; it changes the files."""
    place = StepwisePlace(files, [], conditional)
    place.budget = most
    return run(place)


def _frozen(seen: Any) -> Any:
    return tuple(seen) if isinstance(seen, list) else seen


def _put(values: tuple, index: int, value: Any) -> tuple:
    return (*values[:index], value, *values[index + 1 :])
