"""How far an artifact is, as its records say: nothing but these is read."""

import json

from operators.storage.base import parse_key
from operators.storage.packing import packing
from operators.storage.place import Place
from pipelines.ledger.layout import RECORDS, STAGES
from pipelines.ledger.lease import at_work
from pipelines.ledger.reading import Records, latest_epoch, read_records, require_records
from pipelines.ledger.records import State
from pipelines.ledger.rollback import failures
from pipelines.ledger.spans import Spans
from pipelines.reasons import asking_of
from pipelines.registry import PIPELINES


def show_status(place: Place, say=print) -> None:
    """Print the state of an artifact, or a line for each artifact of a folder. Raises BadRequest where there is none."""
    if inside := _artifacts_in(place):
        for one, records in inside:
            say(f"{one.url}: {_progress(records, records.now())}; {_who(records, at_work(one, records))}")
        return
    if place.exists(STAGES):
        _show_stages(place, say)
        if not latest_epoch(place):
            return
    records = require_records(place)
    state, working = records.now(), at_work(place, records)
    say(f"{place.url}: {_progress(records, state)}")
    say(_who(records, working))
    name = records.recipe.get("pipeline", "rephrase")
    if name in PIPELINES:
        PIPELINES[name].pipeline_class().card.show(records.recipe, state.counts, None)
    else:
        say(
            f"it was made by `gristmill run {name}`, which is no pipeline here (pipelines/registry.py): no more is known of it"
        )
    if failed := failures(state.counts, asking_of(records.recipe)):
        say(f"{failed:,} units failed; `--retry failed` with the command of the run does them again")


def _show_stages(place: Place, say) -> None:
    """Print a line for each stage of the run that makes an artifact, as the stage's own records say how far it is."""
    stages = json.loads(place.read(STAGES))
    width = max(len(stage["name"]) for stage in stages)
    for stage in stages:
        amount = f" · {stage['amount']}" if stage.get("amount") else ""  # lists of earlier versions have none
        say(f"{stage['name']:{width}}  {_stage_state(stage, place)}{amount}")


def _stage_state(stage: dict, place: Place) -> str:
    url = stage["url"]
    if stage.get("failed"):
        return f"failed: {stage['failed']}" + (f" · {url}" if url else "")
    records = read_records(Place(url, place.storage)) if url else None
    if records is None:
        return "waits"
    return f"{_progress(records, records.now())}; {_who(records, at_work(Place(url, place.storage), records))} · {url}"


def _artifacts_in(place: Place) -> list[tuple[Place, Records]]:
    """Give the artifacts that lie in a folder, with their records; none where it is an artifact itself."""
    folders = place.folders()
    if RECORDS in folders:
        return []
    places = [Place(f"{place.url}/{name}", place.storage) for name in folders]
    return [(one, require_records(one)) for one in places if latest_epoch(one)]


def _progress(records: Records, state: State) -> str:
    splits = {split: state.done.get(split, Spans()) for split in records.recipe["splits"]}
    complete = sum(done.complete for done in splits.values())
    if complete == len(splits):
        files = (
            f", {len(splits):,} splits of {len(records.recipe['input']):,} input files"
            if records.recipe["input"]
            else ""
        )
        return f"complete{files}"
    begun = sum(bool(done.spans) for done in splits.values()) - complete
    settled = sum(_settled_bytes(split, done) for split, done in splits.items())
    share = settled / max(sum(end - begin for _, begin, end in map(parse_key, splits)), 1)
    return (
        f"{complete:,} of {len(splits):,} splits of the input are settled, {begun:,} more are begun: at least {share:.0%} of "
        "it; the command that began it goes on"
    )


def _settled_bytes(split: str, done: Spans) -> int:
    """Count the bytes of a split that are settled for certain: a place is a byte in most formats, in parquet a row."""
    file, first, last = parse_key(split)
    if packing(file) and not done.complete:  # its places are bytes of what it unpacks to
        return 0
    return sum(max(0, min(end, last) - max(begin, first)) for (begin, _), (end, _) in done.spans)


def _who(records: Records, working: bool | None) -> str:
    process = f"process {records.owner.pid} on {records.owner.host}"
    if working is None:
        return f"a run is at work, as its last sign of life says: {process}"
    return f"a run is at work: {process}" if working else "no run is at work"
