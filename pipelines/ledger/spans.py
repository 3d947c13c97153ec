"""Places in the splits of an input, and sets of them: what is settled, and what is to be done again."""

import itertools
from bisect import bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from operators.storage.base import END

START = 0  # where every split begins; it ends at END
Point = tuple[int, int]  # a record's position in its file, and a chunk's index in the document there
Span = tuple[Point, Point]  # from a place up to, not including, another
WHOLE: Span = ((START, 0), (END, 0))  # all places of a split


def as_span(words: list) -> Span:
    """Make a span of what JSON makes of it."""
    begin, end = words
    return tuple(begin), tuple(end)


class Spans:
    """A set of places, kept as sorted spans that do not touch."""

    def __init__(self, spans: Iterable[Span] = ()):
        self.spans: list[Span] = []
        for begin, end in sorted(spans):
            if self.spans and begin <= self.spans[-1][1]:
                self.spans[-1] = (self.spans[-1][0], max(end, self.spans[-1][1]))
            else:
                self.spans.append((begin, end))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spans) and self.spans == other.spans

    @property
    def complete(self) -> bool:
        """Whether the whole split is in the set."""
        return self.spans == [WHOLE]

    def outside(self, span: Span) -> list[Span]:
        """Give what of a span is not in the set."""
        begin, end = span
        rest = []
        at = max(bisect_right(self.spans, begin, key=itemgetter(0)) - 1, 0)
        for taken, free in itertools.takewhile(lambda other: other[0] < end, self.spans[at:]):
            if begin < taken:
                rest.append((begin, taken))
            begin = max(begin, free)
        return [*rest, (begin, end)] if begin < end else rest

    def without(self, spans: Iterable[Span]) -> "Spans":
        """Give the set without the places of some spans."""
        gone = Spans(spans)
        return Spans(rest for span in self.spans for rest in gone.outside(span))

    def positions(self) -> list[tuple[int, int]]:
        """Give the ranges of positions whose documents are in the set with all their chunks."""
        ranges = [(begin if chunk == 0 else begin + 1, end) for (begin, chunk), (end, _) in self.spans]
        return [(begin, end) for begin, end in ranges if begin < end]


class Unit(NamedTuple):
    """A unit that is to be done again while the others of its chunk stay: the row `id` of a chunk."""

    position: int
    chunk: int
    id: str

    @property
    def span(self) -> Span:
        return (self.position, self.chunk), (self.position, self.chunk + 1)
