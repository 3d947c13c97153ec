"""Proof that an artifact is whole: every part there and unharmed, every unit settled once, nothing beside them."""

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from itertools import islice

import pyarrow as pa

from operators.storage.place import READS_AT_ONCE, Place
from pipelines.exits import RunFailed
from pipelines.ledger.layout import FOLDERS, TABLE, files_of_parts, is_part
from pipelines.ledger.lease import at_work, require_free
from pipelines.ledger.proof.findings import Findings
from pipelines.ledger.proof.repair import mend
from pipelines.ledger.proof.uniqueness import Ids, ids_of
from pipelines.ledger.reading import Records, require_records
from pipelines.ledger.records import Commit, Part, spans_of
from pipelines.ledger.rollback import failures
from pipelines.ledger.spans import Spans
from pipelines.reasons import asking_of

COMMITS_AT_ONCE = 256


READINGS = 3  # of records that change meanwhile


def run_verify(place: Place, repair: bool, say=print) -> None:
    """Verify an artifact, and repair it if that is asked for. Raises RunFailed where it is not whole in the end."""
    records = require_records(place)
    if repair:
        require_free(place, records, say)
    elif at_work(place, records) is not False:
        say("note: a run is at work here. What it is writing just now may be told as belonging to no commit")
    findings = verify(place)
    for line in findings.lines():
        say(line)
    if not findings.whole and repair:
        mend(place, findings, say)
        findings = verify(place)
    if not findings.whole:
        raise RunFailed(f"{place.url} is not whole. {_advice(findings)}")
    say(f"{place.url} is whole: every unit of the input is settled once.")


def verify(place: Place) -> Findings:
    """Look at everything that the records of an artifact name. Raises BadRequest if it is none."""
    for _ in range(READINGS):
        try:
            return _look_through(place, require_records(place))
        except FileNotFoundError:  # a run has begun meanwhile, and taken away records that it has replaced
            continue
    raise RunFailed(f"the records of {place.url} name files that are not there, or change too fast: is a run at work?")


def _look_through(place: Place, records: Records) -> Findings:
    findings = Findings()
    settled: dict[str, Spans] = {}
    parts: list[str] = []
    asking = asking_of(records.recipe)
    ids = Ids(sum(part.rows for commit in records.commits(place) for part in commit.parts))
    commits = records.commits(place)
    while some := list(islice(commits, COMMITS_AT_ONCE)):
        parts += _look_at(place, some, ids, findings)
        findings.failed += sum(failures(commit.counts, asking) for commit in some)
        for split, spans in spans_of(some).items():
            settled[split] = Spans([*settled.get(split, Spans()).spans, *spans])
    _compare_with_state(records, settled, findings)
    tables = [part for part in parts if TABLE.fullmatch(part) and part not in findings.damaged]
    findings.twice = ids.twice(place, tables)
    findings.orphans, findings.strays = beside(place, parts)
    return findings


def _look_at(place: Place, commits: list[Commit], ids: Ids, findings: Findings) -> list[str]:
    """Read the parts of some commits, several at a time, and give their names."""
    parts = [part for commit in commits for part in commit.parts]
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        for part, wrong in zip(parts, pool.map(lambda part: _wrong_with(place, part, ids), parts), strict=True):
            findings.parts += 1
            if part.rows:
                findings.rows[part.name.partition("/")[0]] += part.rows
            if wrong:
                findings.damaged[part.name] = wrong
    for commit in commits:
        counted = {"data": sum(commit.counts.get("kept", {}).values())}
        counted["rejected"] = sum(sum(r.values()) for r in commit.counts.get("rejected", {}).values())
        rows = dict.fromkeys(FOLDERS, 0)
        for part in filter(lambda part: TABLE.fullmatch(part.name), commit.parts):
            rows[part.name.partition("/")[0]] += part.rows
        if rows != counted:
            name = commit.parts[0].name if commit.parts else "a commit without parts"
            findings.miscounted.append(f"{name}: {rows}, and its commit counts {counted}")
    return [part.name for part in parts]


def _wrong_with(place: Place, part: Part, ids: Ids) -> str | None:
    """Say what is wrong with a part, None for nothing; its ids are taken down."""
    try:
        data = place.read(part.name)
    except FileNotFoundError:
        return "it is missing"
    if len(data) != part.bytes:
        return f"it has {len(data):,} of {part.bytes:,} bytes"
    if blake2b(data, digest_size=16).hexdigest() != part.checksum:
        return "its bytes are not those that were written (checksum)"
    if not TABLE.fullmatch(part.name):
        return None
    try:
        rows = ids_of(io.BytesIO(data), part.name)
    except (pa.ArrowException, OSError) as error:
        return f"it cannot be read: {error}"
    ids.take(rows)
    return None if len(rows) == part.rows else f"it has {len(rows):,} rows, not {part.rows:,}"


def _compare_with_state(records: Records, settled: dict[str, Spans], findings: Findings) -> None:
    """See that the commits settle what the state says, and which splits of the input are not settled."""
    state = records.now()
    for split, done in state.done.items():
        missing = [rest for span in done.spans for rest in settled.get(split, Spans()).outside(span)]
        if missing:
            findings.miscounted.append(
                f"{split}: {len(missing)} stretches are marked as settled, and no commit settles them"
            )
    findings.unsettled = [split for split in records.recipe["splits"] if not state.done.get(split, Spans()).complete]


def beside(place: Place, known: Iterable[str]) -> tuple[list[str], list[str]]:
    """Name the files beside the parts that count: those of dead writers, half-written ones too, and those of others."""
    there, halves = files_of_parts(place)
    there = set(there) - set(known)
    ours = set(filter(is_part, there))
    return sorted(ours) + halves, sorted(there - ours)


def _advice(findings: Findings) -> str:
    if findings.damaged or findings.twice or findings.orphans:
        return "`gristmill verify --repair` takes back what is damaged and removes what belongs to no commit."
    if findings.strays:
        return "Move the files of others away: they are not gristmill's to remove."
    if findings.miscounted:
        return "Its records contradict each other, which no repair can mend: begin the artifact anew."
    return "The command that began it goes on with what is missing."
