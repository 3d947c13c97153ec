"""Taking back what was settled, so that the next run does it again: commits with damaged parts, or the units that failed."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

import pyarrow as pa

from operators.storage.base import UNREADABLE, parse_key
from pipelines.counts import Counts, add_counts, without_counts
from pipelines.ledger.layout import epoch_of
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.publish import publish_catalogue, publish_part
from pipelines.ledger.reading import read_catalogue, read_part
from pipelines.ledger.records import Commit, Part, State, spans_of
from pipelines.ledger.spans import Span, Spans, Unit, as_span
from pipelines.ledger.units import Units
from pipelines.reasons import Blame, has_failed


def failures(counts: Counts, asking: Collection[str]) -> int:
    """Count the units that failed: not those that a rule turned down. `asking` are the stages that ask a model."""
    return _number(counts, lambda kind, reason: has_failed(reason, asking))


def without_parts(ledger: Ledger, state: State, damaged: Iterable[str]) -> State:
    """Take back the commits of some parts. The others that did units in the same places again go with them."""
    damaged, taken = set(damaged), {}
    while True:
        found = [c for c in _commits(ledger, state) if _names(c) & damaged or _meets(c, taken)]
        widened = _union(found)
        if {s: spans.spans for s, spans in widened.items()} == {s: spans.spans for s, spans in taken.items()}:
            break
        taken = widened
    gone = set().union(*map(_names, found))
    state = _rewritten(ledger, state, lambda commit: None if _names(commit) & gone or _meets(commit, taken) else commit)
    redo = {s: [u for u in units if taken.get(s, Spans()).outside(u.span)] for s, units in state.redo.items()}
    return replace(
        state,
        done=_without(state.done, taken),
        redo={split: units for split, units in redo.items() if units},
        counts=without_counts(state.counts, add_counts(*(commit.counts for commit in found))),
    )


def without_spans(ledger: Ledger, state: State, spans: dict[str, list[Span]]) -> State:
    """Take back the commits that settle anything of some places."""
    taken = {split: Spans(some) for split, some in spans.items()}
    return without_parts(ledger, state, {n for c in _commits(ledger, state) if _meets(c, taken) for n in _names(c)})


def without_failures(ledger: Ledger, state: State, units: Units) -> State:
    """Take back the units that failed. Where these are whole commits, or a file was not read, commits go altogether."""
    damaged, failed = set(), []
    for commit in _commits(ledger, state):
        if failures(commit.counts, units.asking):
            failed.append(commit)
            damaged |= _names(commit) if units.whole_commits else set()
    files = set() if units.whole_commits else _files(ledger, failed)
    damaged |= {name for commit in _commits(ledger, state) if _splits(commit) & files for name in _names(commit)}
    state = without_parts(ledger, state, damaged) if damaged else state
    return _without_rows(ledger, state, units, lambda kind, reason: units.has_failed(reason))


def without_blamed(ledger: Ledger, state: State, units: Units, blamed: Collection[Blame]) -> State:
    """Take back what this epoch charged to its rows and they had no part in.

    A commit that kept nothing but real text goes altogether, as where units are whole commits: a run that could not work leaves
    nothing behind that would bind the next one. Not so where it did again what lies between things that were kept before.
    """

    def is_blamed(kind: str | None, reason: str) -> bool:
        return not {(None, reason), (kind, reason)}.isdisjoint(blamed)

    def is_hopeless(commit: Commit) -> bool:
        mine = all(epoch_of(name) == ledger.number for name in _names(commit))
        kept = sum(rows for kind, rows in commit.counts.get("kept", {}).items() if kind != units.beside)
        return mine and _number(commit.counts, is_blamed) > 0 and (units.whole_commits or not kept)

    hopeless = [commit for commit in _commits(ledger, state) if is_hopeless(commit)]
    others = _union(commit for commit in _commits(ledger, state) if not is_hopeless(commit))
    names = {name for commit in hopeless if not _meets(commit, others) for name in _names(commit)}
    state = without_parts(ledger, state, names) if names else state
    return _without_rows(ledger, state, units, is_blamed, since=ledger.number)


def _without_rows(
    ledger: Ledger, state: State, units: Units, leaves: Callable[[str | None, str], bool], since: int = 0
) -> State:
    """Take single rows out of the rejected parts of an epoch and later ones; `leaves` is asked for kind and STAGE/REASON."""
    if units.whole_commits:
        return state
    redo: dict[str, list[Unit]] = {split: list(units) for split, units in state.redo.items()}
    holes: dict[str, list[Span]] = {}
    fewer: list[Counts] = []

    def change(commit: Commit) -> Commit:
        if not _number(commit.counts, leaves) or max(map(epoch_of, _names(commit))) < since:
            return commit
        part, table = _rejected(ledger, commit)
        columns = (table[name].to_pylist() for name in (units.kind, "stage", "reason"))
        failed = [leaves(kind, f"{stage}/{reason}") for kind, stage, reason in zip(*columns, strict=True)]
        rows = table.filter(pa.array(failed)).to_pylist()
        for row in rows:
            split, span, unit = _place(commit, row, row[units.kind])
            holes.setdefault(split, []).append(span)
            if unit:
                redo.setdefault(split, []).append(unit)
        fewer.append(_counts(rows, units))
        rest = table.filter(pa.array([not one for one in failed]))
        parts = [other for other in commit.parts if other != part]
        if len(rest):
            name = f"rejected/part-{ledger.number:08}-{part.name.rpartition('-')[2]}"
            parts.append(publish_part(ledger, name, rest))
        return Commit(parts, commit.spans, without_counts(commit.counts, fewer[-1]))

    state = _rewritten(ledger, state, change)
    done = _without(state.done, {split: Spans(spans) for split, spans in holes.items()})
    return replace(state, done=done, redo=redo, counts=without_counts(state.counts, add_counts(*fewer)))


def _place(commit: Commit, row: dict, kind: str | None) -> tuple[str, Span, Unit | None]:
    """Give the split of a failed row, its place, and the unit; a rejected document has none: all that comes of it is wanted."""
    position = row["position"]
    unit = Unit(position, row["chunk_index"] or 0, row["id"]) if kind else None
    span = unit.span if unit else ((position, 0), (position + 1, 0))
    for split, spans in commit.spans.items():
        whole = Spans(map(as_span, spans))
        if parse_key(split)[0] == row["source_file"] and whole.outside(span) != [span]:
            return split, span, unit
    raise ValueError(f"row {row['id']} lies outside of what its commit settled")


def _counts(rows: list[dict], units: Units) -> Counts:
    """Count what goes with some rejected rows: they, and the documents that begin with them."""
    rejected: dict[str, Counts] = {}
    for row in rows:
        reasons = rejected.setdefault(row[units.kind] or "document", {})
        reason = f"{row['stage']}/{row['reason']}"
        reasons[reason] = reasons.get(reason, 0) + 1
    begun = {(row["source_file"], row["position"]) for row in rows if _is_first(row, units)}
    return {"rejected": rejected, "documents": len(begun)}


def _is_first(row: dict, units: Units) -> bool:
    """Whether a document is counted by this row (see pipelines/flow/orders/tally.py)."""
    return not row["chunk_index"] and (row[units.kind] is None or row[units.kind] != units.beside)


def _files(ledger: Ledger, commits: list[Commit]) -> set[str]:
    """Name the files that could not be read."""
    found: set[str] = set()
    for commit in commits:
        if any(reason.endswith(f"/{UNREADABLE}") for reason in commit.counts["rejected"].get("document", {})):
            rows = _rejected(ledger, commit)[1].select(["reason", "source_file"]).to_pylist()
            found |= {row["source_file"] for row in rows if row["reason"] == UNREADABLE}
    return found


def _rejected(ledger: Ledger, commit: Commit) -> tuple[Part, pa.Table]:
    """Read the rejected part of a commit. Raises BadRequest where it is damaged."""
    (part,) = (part for part in commit.parts if part.name.startswith("rejected/"))
    return part, read_part(ledger.place, part.name)


def _rewritten(ledger: Ledger, state: State, change: Callable[[Commit], Commit | None]) -> State:
    """Give the state with each commit of the catalogue as it is after a change, None for gone."""
    catalogue = []
    for name in state.catalogue:
        before = list(read_catalogue(ledger.place, name))
        after = [commit for commit in map(change, before) if commit is not None]
        if after == before:
            catalogue.append(name)
        elif after:
            catalogue.append(publish_catalogue(ledger, after))
    return replace(state, catalogue=catalogue)


def _commits(ledger: Ledger, state: State) -> Iterator[Commit]:
    for name in state.catalogue:
        yield from read_catalogue(ledger.place, name)


def _names(commit: Commit) -> set[str]:
    return {part.name for part in commit.parts}


def _splits(commit: Commit) -> set[str]:
    """Name the files whose splits a commit settles, or parts of them."""
    return {parse_key(split)[0] for split in commit.spans}


def _union(commits: Iterable[Commit]) -> dict[str, Spans]:
    return {split: Spans(spans) for split, spans in spans_of(commits).items()}


def _meets(commit: Commit, taken: dict[str, Spans]) -> bool:
    places = (
        (taken[split], as_span(span)) for split, spans in commit.spans.items() if split in taken for span in spans
    )
    return any(spans.outside(span) != [span] for spans, span in places)


def _without(done: dict[str, Spans], taken: dict[str, Spans]) -> dict[str, Spans]:
    return {split: spans.without(taken[split].spans) if split in taken else spans for split, spans in done.items()}


def _number(counts: Counts, leaves: Callable[[str | None, str], bool]) -> int:
    """Count the rejected rows of which something is true, asked for their kind and STAGE/REASON."""
    rejected = counts.get("rejected", {}).items()
    return sum(n for kind, reasons in rejected for reason, n in reasons.items() if leaves(kind, reason))
