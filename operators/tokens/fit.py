"""What becomes of an example that is longer than a row: its rest is never learned without its question.

Shapes: T tokens of an example, W tokens of a row (the window).
"""

from typing import NamedTuple

import numpy as np

TOO_LONG = ("truncate", "drop", "split")
Piece = tuple[np.ndarray, np.ndarray]  # tokens, and which of them are learned


class Fitted(NamedTuple):
    """What is packed of an example, each piece at most a row. `outcome` is null where it fits, else truncated or split, or where
    nothing is packed dropped or no_target.
    """

    pieces: list[Piece]
    outcome: str | None = None


class Round(NamedTuple):
    """A question and its answer: where it begins, where the answer begins, and where it ends."""

    begin: int
    answer: int
    end: int


def fitted(ids_T: np.ndarray, targets_T: np.ndarray, window: int, too_long: str) -> Fitted:
    """Fit an example into rows; `targets_T` (bool) marks what is learned.

    `truncate` keeps the first W tokens, if one of them is learned; `drop` keeps nothing. `split` keeps all that is learned: of a
    chat as many rounds as a row holds stay together, and an answer that is cut goes on in the next row behind its question and
    the last of the answer so far, which are read there and not learned again. Where the question takes more than half a row it
    is not repeated, and that round is truncated.
    """
    if len(ids_T) <= window:
        return Fitted([(ids_T, targets_T)])
    if too_long == "drop":
        return Fitted([], "dropped")
    if too_long == "truncate":
        pieces, outcome = [(ids_T[:window], targets_T[:window])], "truncated"
    else:
        pieces, outcome = _split(ids_T, targets_T, window)
    learning = [piece for piece in pieces if piece[1][1:].any()]  # nothing predicts the first token
    return Fitted(learning, outcome if learning else "no_target")


def _split(ids_T: np.ndarray, targets_T: np.ndarray, window: int) -> tuple[list[Piece], str]:
    pieces, outcome, rounds = [], "split", _rounds(targets_T)
    while rounds:
        begin = rounds[0].begin
        whole = sum(one.end - begin <= window for one in rounds)
        if whole:
            here = slice(begin, rounds[whole - 1].end)
            pieces.append((ids_T[here], targets_T[here]))
        else:
            pieces += _continued(ids_T, targets_T, rounds[0], window)
            outcome = outcome if _repeatable(rounds[0], window) else "truncated"
        rounds = rounds[max(whole, 1) :]
    return pieces, outcome


def _rounds(targets_T: np.ndarray) -> list[Round]:
    """Give the rounds of an example; what follows the last answer belongs to it."""
    edges = np.flatnonzero(np.diff(targets_T, prepend=False, append=False)).tolist()
    ends = [*edges[1:-1:2], len(targets_T)]
    return [Round(*one) for one in zip([0, *ends[:-1]], edges[::2], ends, strict=True)]


def _continued(ids_T: np.ndarray, targets_T: np.ndarray, one: Round, window: int) -> list[Piece]:
    """Cut a round that is longer than a row."""
    at, question = one.begin + window, one.answer - one.begin
    pieces = [(ids_T[one.begin : at], targets_T[one.begin : at])]
    so_far = window // 4
    while at < one.end and _repeatable(one, window):
        new = slice(at, min(at + window - question - so_far, one.end))
        read = [ids_T[one.begin : one.answer], ids_T[at - so_far : at]]
        again = np.zeros(question + so_far, dtype=bool)
        pieces.append((np.concatenate([*read, ids_T[new]]), np.concatenate([again, targets_T[new]])))
        at = new.stop
    return pieces


def _repeatable(one: Round, window: int) -> bool:
    return one.answer - one.begin <= window // 2
