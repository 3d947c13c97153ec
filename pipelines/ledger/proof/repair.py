"""Taking back what is damaged or there twice, so that the same run does it again."""

from collections.abc import Iterator

from operators.storage.place import Place
from pipelines.ledger.layout import TABLE
from pipelines.ledger.lease import Keeper, myself, require_free
from pipelines.ledger.ledger import next_ledger
from pipelines.ledger.proof.findings import Findings
from pipelines.ledger.proof.uniqueness import ids_of
from pipelines.ledger.reading import Records, require_records
from pipelines.ledger.rollback import without_parts
from pipelines.ledger.tenure import claim, folded, tidy


def mend(place: Place, findings: Findings, say) -> None:
    """Take back the commits of damaged parts, and of rows that are there twice; remove what belongs to no commit."""
    records = require_records(place)
    require_free(place, records, say)
    records = require_records(place)
    ledger = next_ledger(place, records)
    harmed = {*findings.damaged, *_parts_with(place, records, findings)}
    state = without_parts(ledger, folded(ledger, records.state, records.tail), harmed)
    with Keeper(claim(place, records, state, myself(), records.recipe)) as keeper:
        tidy(keeper.tenure)
        swept = keeper.sweep()
    say(f"repaired: {len(harmed):,} parts taken back, {len(swept):,} files removed.")


def _parts_with(place: Place, records: Records, findings: Findings) -> Iterator[str]:
    """Name the sound parts that hold ids which stand in more than one row."""
    parts = (part.name for commit in records.commits(place) for part in commit.parts) if findings.twice else ()
    for part in filter(TABLE.fullmatch, parts):
        if part not in findings.damaged and not set(findings.twice).isdisjoint(ids_of(place.open(part), part)):
            yield part
