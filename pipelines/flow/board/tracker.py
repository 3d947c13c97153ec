"""What all processes of a run must know of each other's work: what was begun, what is committed, which engines died."""

import asyncio
import uuid
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

SETTLED_REMEMBERED = 50_000  # keys of orders, about 100 bytes each; an engine asks at least twice a minute
LONGEST_POLL_S = 10.0
Cursor = tuple[str, int]  # which tracker, and how many keys of its were heard of


class Tracker:
    """Part of the scoreboard. Its memory is bounded: by the work that is under way, and by SETTLED_REMEMBERED.

    A piece of work that was begun and never ended took its process with it. What the tracker knew is lost where its own
    process dies; `instance` tells those who come back.
    """

    def __init__(self):
        self.instance = uuid.uuid4().hex
        self.begun: dict[str, int] = {}
        self.recent: deque[str] = deque(maxlen=SETTLED_REMEMBERED)
        self.settled_ever = 0
        self.news: asyncio.Event | None = None
        self.actors: set[str] = set()
        self.deaths, self.any_started = 0, False

    def deaths_at(self, key: str) -> int:
        """Count the processes that began this work and never ended it."""
        return self.begun.get(key, 0)

    def begin(self, key: str) -> int:
        """Take down that this work begins, and count the processes that died of it before."""
        self.begun[key] = self.begun.get(key, 0) + 1
        return self.begun[key] - 1

    def end(self, key: str, answered: bool = False) -> None:
        """Take down that this work is over, however it went. `answered`: an engine did some of it, so engines work."""
        self.begun.pop(key, None)
        if answered:
            self.answered()

    def answered(self) -> None:
        """Take down that engines work: one has answered, or a request was found that none outlives."""
        self.deaths = 0

    def settle(self, keys: Iterable[str]) -> None:
        """Take down which orders are committed."""
        keys = list(keys)
        self.recent.extend(keys)
        self.settled_ever += len(keys)
        if self.news:
            self.news.set()

    def settled_of(self, keys: list[str]) -> list[bool]:
        """Tell of some orders which are known to be committed."""
        recent = set(self.recent)
        return [key in recent for key in keys]

    async def settled_since(self, cursor: Cursor | None) -> tuple[Cursor, list[str] | None]:
        """Give the orders that were committed since, as soon as there is one; none after LONGEST_POLL_S.

        They are null where they are not known: at first, after a tracker was lost, or when more were committed than it
        remembers.
        """
        now = (self.instance, self.settled_ever)
        if cursor is None or cursor[0] != self.instance:
            return now, None
        if cursor[1] == self.settled_ever:
            await self._wait_for_news()
        missed = self.settled_ever - cursor[1]
        now = (self.instance, self.settled_ever)
        return now, None if missed > len(self.recent) else list(islice(reversed(self.recent), missed))[::-1]

    async def _wait_for_news(self) -> None:
        self.news = self.news or asyncio.Event()
        self.news.clear()
        with suppress(TimeoutError):  # nothing was committed meanwhile
            await asyncio.wait_for(self.news.wait(), LONGEST_POLL_S)

    def engine_starts(self, actor: str) -> tuple[int, int, bool]:
        """Take down that an actor starts its engine; an actor that did so before has died.

        Returns how often engines died since one last answered, how many actors there were, and whether any engine ever stood.
        """
        self.deaths += actor in self.actors
        self.actors.add(actor)
        return self.deaths, len(self.actors), self.any_started

    def engine_started(self) -> None:
        self.any_started = True
