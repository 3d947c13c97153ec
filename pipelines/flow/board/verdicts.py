"""What becomes of nearly all answers is not the documents' doing: the engine or the settings are to blame, and the run stops.

The rule, for each kind of rows: of its newest WINDOW answers, at least FEWEST (FEWEST_BY_RULE where a rule turned them down,
which may be right about a stretch of documents), a `share` came to nothing for one and the same reason. And while no engine of
this run has answered any request of a kind: of FEWEST requests, the same share.

So that the last, bad documents of a corpus do not stop a resumed run, what the artifact has kept of a kind before counts as good
answers, up to a whole window of them, and more requests have to be lost: FEWEST_RESUMED, beside those that are known to be bad.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from pipelines.reasons import Blame, Reasons

FEWEST, FEWEST_BY_RULE, FEWEST_RESUMED, WINDOW = 20, 100, 200, 1000  # answers


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
        self.reasons, self.kind = Reasons(), "kind"
        # The reasons for which requests of a kind (null: of all) came to nothing, while no engine has answered any.
        self.lost: dict[str | None, Counter] = {}
        self.stands: dict[str | None, Verdict] = {}  # on these: what is lost meanwhile changes no word of it
        self.cleared: set[str | None] = set()
        self.resumed: set[str | None] = set()  # kinds (null: any) of which the artifact has kept some before
        self.known_bad = 0
        self.newest: dict[str, Newest] = {}

    def judge(self, share: float | None, reasons: Reasons, kind: str) -> None:
        """Begin to judge; a share of null: never. `reasons` are those of the pipeline, `kind` is what it calls kinds of rows."""
        self.share, self.reasons, self.kind = share, reasons, kind

    def resume(self, kept: Mapping[str, int], known_bad: int, beside: str | None) -> None:
        """Take down how many rows of each kind are kept from before, and how many that failed are to be done again.

        Of the kind `beside` no model was asked (see Units).
        """
        self.known_bad = known_bad
        for kind, rows in kept.items():
            if kind != beside:
                self.resumed |= {kind, None}
                self.newest[kind] = Newest([None] * min(rows, WINDOW))

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
            fewest = FEWEST_RESUMED + self.known_bad if key in self.resumed else FEWEST
            if of >= fewest and count >= self.share * of:
                share = f"{count:,} of the first {of:,} requests"
                return self.stands.setdefault(key, self._verdict(key, [fate.reason], fate.said, share))
        return None

    def became(self, kind: str, fates: Sequence[Fate]) -> Verdict | None:
        """Take down what became of some more answers of a kind in the end, and judge."""
        newest = self.newest.setdefault(kind, Newest())
        for fate in fates:
            newest.add(fate.reason)
        reasons, count = newest.commonest(self.reasons.judged_as)
        of, fewest = len(newest), FEWEST if reasons and self.reasons.is_unanswered(reasons[0]) else FEWEST_BY_RULE
        if self.share is None or not reasons or of < fewest or count < self.share * of:
            return None
        said = next((fate.said for fate in reversed(fates) if fate.reason in reasons), "")
        return self._verdict(kind, reasons, said, f"{count:,} of the newest {of:,} answers")

    def _verdict(self, kind: str | None, reasons: list[str], said: str, share: str) -> Verdict:
        """Word what is to blame for some reasons that are judged as one, the commonest first."""
        of = f" in {self.kind} {kind!r}" if kind else ""
        also = f" (also told as {', '.join(reasons[1:])})" if reasons[1:] else ""
        message = (
            f"{share}{of} came to nothing for one reason, {reasons[0]}{also}, so the engine or the settings are to blame and not "
            f"the documents. The last of them: {said.rstrip('.')}. {self.reasons.advice_on(reasons[0])} They are not settled. "
            "Once that is mended, the same command goes on; with faults.give_up_share=null it goes on as it is."
        )
        return Verdict(" ".join(message.split()), tuple((kind, reason) for reason in reasons))


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

    def commonest(self, judged_as: Callable[[str], str]) -> tuple[list[str], int]:
        """Give the reasons, judged as one, for which most came to nothing, the commonest first, and the number of all of them."""
        groups: dict[str, Counter] = {}
        for reason, count in self.counts.items():
            if reason and count:
                groups.setdefault(judged_as(reason), Counter())[reason] = count
        most = max(groups.values(), key=Counter.total, default=Counter())
        return [reason for reason, _ in most.most_common()], most.total()
