"""What a run says at its end of what failed, and of why nothing was kept."""

from collections import Counter
from collections.abc import Callable

import pyarrow.compute as pc
import pyarrow.parquet as pq

from operators.storage.place import Place
from pipelines.counts import Counts
from pipelines.exits import RunFailed
from pipelines.ledger.reading import read_records
from pipelines.ledger.rollback import failures
from pipelines.ledger.units import Units
from pipelines.run.card import Card

SHOWN = 300  # characters of an example


def tell_end(card: Card, units: Units, place: Place, counts: Counts, say: Callable[[str], None]) -> None:
    """Say what failed, and where nothing was kept, why. Raises RunFailed where nothing was kept, and not by rules alone."""
    if failed := failures(counts, units.asking):
        say(f"{failed:,} units failed and stand in rejected/ with their reason. `--retry failed` does them again.")
    if card.made(counts):
        return
    reasons = why(counts, units)
    surplus = Counter({reason: reasons.pop(reason) for reason in card.surplus & reasons.keys()})
    if not reasons:
        too_many = f"all {surplus.total():,} rows were good, and left as {', '.join(surplus)}"
        say(f"note: no row was kept: {too_many if surplus else 'there was nothing in the input'}.")
        return
    commonest, *others = (reason for reason, _ in reasons.most_common())
    failure = next((reason for reason in (commonest, *others) if not card.is_a_rule(reason)), None)
    also = f", {reasons[failure]:,} as {failure}" if failure in others else ""
    said = f"nothing was kept at {place.url}: {reasons[commonest]:,} of {reasons.total():,} came to nothing as {commonest}{also}."
    said += _example(place, failure or commonest)
    if failure is None:
        say(f"note: {said} They stand in rejected/.")
    else:
        again = " `--retry failed` does it again." if units.has_failed(failure) else ""
        raise RunFailed(f"{said}{again} With other settings, --new begins another artifact.")


def why(counts: Counts, units: Units) -> Counter:
    """Count the reasons for which rows left, but for those that stand beside."""
    reasons = Counter()
    for kind, some in counts.get("rejected", {}).items():
        reasons.update(some if kind != units.beside else {})
    return reasons


def _example(place: Place, reason: str) -> str:
    """Tell of one row that left for a reason: which it was, and what came of it."""
    stage, _, word = reason.partition("/")
    for commit in read_records(place).commits(place):
        told = any(reason in some for some in commit.counts.get("rejected", {}).values())
        for part in (part.name for part in commit.parts if told and part.name.startswith("rejected/")):
            rows = pq.read_table(place.open(part))
            found = rows.filter(pc.and_(pc.equal(rows["stage"], stage), pc.equal(rows["reason"], word)))
            for row in found.slice(0, 1).to_pylist():
                return _told(row)
    return ""


def _told(row: dict) -> str:
    name = row["document_id"] or f"the record at {row['position']}"
    text = f" It was: {row['text'][:SHOWN]!r}." if row.get("text") else ""
    return f" For example {name} of {row['source_file']}: {(row['detail'] or 'no more is known')[:SHOWN].rstrip('.')}.{text}"
