"""What becomes of nearly all answers is not the documents' doing: the engine or the settings are to blame, and the run stops.

The rule, for each kind of rows: of its newest WINDOW answers, at least FEWEST (FEWEST_BY_RULE where a rule turned them down,
which may be right about a stretch of documents), a `share` came to nothing for one and the same reason. What the artifact has
kept of a kind before counts as a whole window of good answers, so that the last, bad documents of a corpus do not stop a resumed
run.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipelines.reasons import Blame, Reasons

FEWEST, FEWEST_BY_RULE, WINDOW = 20, 100, 1000  # answers


class Fate(NamedTuple):
    """What became of an answer: the reason for which it came to nothing (null: it was good), and in words what came."""

    reason: str | None
    said: str = ""


class Verdict(NamedTuple):
    """What is to blame, and the words for the user."""

    message: str
    blamed: tuple[Blame, ...]


class Verdicts:
    """Part of the scoreboard. Nothing is judged before `judge` names the share."""

    def __init__(self):
        self.share: float | None = None
        self.reasons = Reasons()
        # The reasons for which requests of a kind (null: of all) came to nothing, while no engine has answered any.
        self.lost: dict[str | None, Counter] = {}
        self.cleared: set[str | None] = set()
        self.newest: dict[str, Newest] = {}

    def judge(self, share: float | None, reasons: Reasons) -> None:
        """Begin to judge; a share of null: never. `reasons` are those of the pipeline."""
        self.share, self.reasons = share, reasons

    def known_good(self, kinds: Iterable[str]) -> None:
        """Take down of which kinds something is kept from before."""
        for kind in kinds:
            self.was_answered(kind)
            self.newest[kind] = Newest([None] * WINDOW)

    def was_answered(self, kind: str) -> None:
        """Take down that an engine has answered a request of a kind: engines can, whatever is made of the answer."""
        self.cleared |= {kind, None}

    def was_lost(self, kind: str, fate: Fate) -> Verdict | None:
        """Take down a request that came to nothing before any of its kind was answered, and judge."""
        for key in (kind, None):
            if key in self.cleared or self.share is None:
                continue
            reasons = self.lost.setdefault(key, Counter())
            reasons[fate.reason] += 1
            of, count = reasons.total(), reasons[fate.reason]
            if of >= FEWEST and count >= self.share * of:
                return self._verdict(key, fate, f"{count:,} of the first {of:,} requests")
        return None

    def became(self, kind: str, fates: Sequence[Fate]) -> Verdict | None:
        """Take down what became of some more answers of a kind in the end, and judge."""
        newest = self.newest.setdefault(kind, Newest())
        for fate in fates:
            newest.add(fate.reason)
        reason, count = newest.commonest()
        of, fewest = len(newest), FEWEST if reason and self.reasons.is_unanswered(reason) else FEWEST_BY_RULE
        if self.share is None or reason is None or of < fewest or count < self.share * of:
            return None
        last = next((fate for fate in reversed(fates) if fate.reason == reason), Fate(reason))
        return self._verdict(kind, last, f"{count:,} of the newest {of:,} answers")

    def _verdict(self, kind: str | None, fate: Fate, share: str) -> Verdict:
        of = f" in {self.reasons.kind} {kind!r}" if kind else ""
        message = (
            f"{share}{of} came to nothing for one reason, {fate.reason}, so the engine or the settings are to blame and not the "
            f"documents. The last of them: {fate.said.rstrip('.')}. {self.reasons.advice_on(fate.reason)} They are not settled. "
            "Once that is mended, the same command goes on; with faults.give_up_share=null it goes on as it is."
        )
        return Verdict(" ".join(message.split()), ((kind, fate.reason),))


class Newest:
    """The reasons of the newest answers, at most WINDOW of them, and how often each stands there."""

    def __init__(self, reasons: Iterable[str | None] = ()):
        self.reasons: deque[str | None] = deque()
        self.counts: Counter = Counter()
        for reason in reasons:
            self.add(reason)

    def __len__(self) -> int:
        return len(self.reasons)

    def add(self, reason: str | None) -> None:
        self.reasons.append(reason)
        self.counts[reason] += 1
        if len(self.reasons) > WINDOW:
            self.counts[self.reasons.popleft()] -= 1

    def commonest(self) -> tuple[str | None, int]:
        """Give the reason for which most came to nothing, and their number; null where none did."""
        bad = [(count, reason) for reason, count in self.counts.items() if reason and count]
        count, reason = max(bad, default=(0, None))
        return reason, count
