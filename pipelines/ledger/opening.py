"""Which artifact a run goes on with: the one that is there, another one beside it, or a fork of it."""

import json
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import StrEnum
from functools import partial
from hashlib import blake2b
from itertools import islice

from operators.errors import BadRequest
from operators.storage.place import READS_AT_ONCE, Place
from pipelines.ledger.layout import CARD, TABLE, files_of_parts
from pipelines.ledger.lease import myself, release
from pipelines.ledger.ledger import next_ledger
from pipelines.ledger.publish import publish_catalogue
from pipelines.ledger.reading import Records, read_records
from pipelines.ledger.records import Commit
from pipelines.ledger.tenure import claim

COPIED_AT_ONCE = 1024  # commits of a fork
NAMED = 5  # of many files, in a message


class Otherwise(StrEnum):
    """What to do where an artifact was made otherwise than this run would go on."""

    REFUSE = "refuse"
    NEW = "new"
    FORK = "fork"


def chosen(new: bool, fork: bool) -> Otherwise:
    """Read the two flags. Raises BadRequest if both are given."""
    if new and fork:
        raise BadRequest("--new and --fork were both given. --new begins empty, --fork with a copy of what is settled.")
    return Otherwise.NEW if new else Otherwise.FORK if fork else Otherwise.REFUSE


def find(
    place: Place, recipe: dict, otherwise: Otherwise, cuts: tuple[str, ...], say: Callable[[str], None]
) -> tuple[Place, Records | None]:
    """Give the place to go on in, and the records there.

    `recipe` has the `fingerprint` of what decides the content and the `input` (file: bytes and version). `cuts` begin the names
    of the settings that decide where units begin: a fork must share them.
    Raises BadRequest where the artifact was made otherwise and nothing else was asked for, or the folder is not ours.
    """
    records = read_records(place)
    if records is None:
        _refuse_to_overwrite(place)
        return place, None
    if not any(done.spans for done in records.now().done.values()):  # nothing is settled: a mistake binds nobody
        return place, records
    changed, moved = _changed(records.recipe, recipe), _moved(records.recipe, recipe)
    if not changed and not moved:
        return place, records
    if otherwise is Otherwise.REFUSE:
        raise BadRequest(_difference(place, changed, moved, can_fork=cuts != ("",)))
    beside = _beside(place, recipe if moved else recipe | {"input": None})
    say(f"{place.url} was made otherwise, so this run has an artifact of its own: {beside.url}")
    if otherwise is Otherwise.FORK and read_records(beside) is None:
        _require_same_cuts(place, changed, moved, cuts)
        _refuse_to_overwrite(beside, {_renamed(part.name) for c in records.commits(place) for part in c.parts})
        _fork(place, records, beside, recipe)
    return find(beside, recipe, Otherwise.REFUSE, cuts, say)


def _changed(was: dict, now: dict) -> dict[str, tuple]:
    """Give the settings that decide the content and differ, with both values."""
    was, now = was["fingerprint"], now["fingerprint"]
    return {
        key: (was.get(key), now.get(key)) for key in sorted(was.keys() | now.keys()) if was.get(key) != now.get(key)
    }


def _moved(was: dict, now: dict) -> list[str]:
    """Name the input files that changed or went since, or came, where each decides what becomes of the others."""
    files, there = was["input"], now["input"]
    moved = [name for name in files if files[name] != there.get(name)]
    return moved + (sorted(there.keys() - files.keys()) if now["all_at_once"] else [])


def _difference(place: Place, changed: dict[str, tuple], moved: list[str], can_fork: bool) -> str:
    lines = [f"  {key}: {was!r} there, {now!r} now" for key, (was, now) in changed.items()]
    if moved:
        lines.append(f"  input: {len(moved)} of its files have changed, come or gone: {_some(moved)}")
    return (
        f"{place.url} holds the result of another run, and this one would not continue it:\n"
        + "\n".join(lines)
        + "\nTake these back to continue it, or give another output.path. --new begins another artifact beside it"
        + (
            "; --fork begins one with a copy of what is settled there and goes on from it with the settings of now."
            if can_fork
            else "."
        )
    )


def _require_same_cuts(place: Place, changed: dict[str, tuple], moved: list[str], cuts: tuple[str, ...]) -> None:
    if cuts == ("",):
        raise BadRequest(f"{place.url} cannot be forked: each of its settings decides about all of it. Use --new.")
    cut = [key for key in changed if key.startswith(cuts)]
    if cut or moved:
        raise BadRequest(
            f"a fork of {place.url} cannot go on with another input or with other chunks ({_some(cut + moved)}): what is "
            "settled there would not meet what is left. Use --new."
        )


def _fork(place: Place, records: Records, beside: Place, recipe: dict) -> None:
    """Copy what is settled into another place. Its first epoch is begun last, so that a copy that died counts for nothing."""
    if records.now().redo:
        raise BadRequest(f"units of {place.url} are to be done again: let its own command end before you fork it.")
    ledger = next_ledger(beside, None)
    commits = records.commits(place)
    catalogue = []
    while some := list(islice(commits, COPIED_AT_ONCE)):
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            copies = list(pool.map(partial(_copied, place, beside), some))
        catalogue.append(publish_catalogue(ledger, copies))
    state = replace(records.now(), catalogue=catalogue)
    claim(beside, None, state, myself(), recipe | {"forked_from": {"place": place.url, "run": records.recipe}})
    release(ledger, swept=False)


def _copied(place: Place, beside: Place, commit: Commit) -> Commit:
    """Copy the parts of a commit, and give it as it is in the other artifact."""
    parts = [replace(part, name=_renamed(part.name)) for part in commit.parts]
    for part, copy in zip(commit.parts, parts, strict=True):
        beside.publish(copy.name, place.read(part.name))
    return Commit(parts, commit.spans, commit.counts)


def _renamed(part: str) -> str:
    """Give the name that a part has in the first epoch of another artifact."""
    begin, end = TABLE.fullmatch(part).span(2)
    return f"{part[:begin]}{1:08}{part[end:]}"


def _beside(place: Place, recipe: dict) -> Place:
    deciding = {key: recipe[key] for key in ("fingerprint", "input")}
    digest = blake2b(json.dumps(deciding, sort_keys=True, default=str).encode(), digest_size=4).hexdigest()
    return replace(place, url=f"{place.url}-{digest}")


def _refuse_to_overwrite(place: Place, ours: Collection[str] = ()) -> None:
    """Raise BadRequest if the folder is no artifact and holds what one would overwrite, other than `ours`."""
    there = [name for name in files_of_parts(place)[0] if name not in ours]
    there += [CARD] if place.exists(CARD) else []
    if there:
        raise BadRequest(
            f"{place.url} holds files that no run of gristmill wrote: {_some(there)}. "
            "Give an empty or a new folder as output.path."
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
