import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.errors import BadRequest
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.exits import RunFailed
from pipelines.ledger.layout import EPOCHS
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.proof.repair import mend
from pipelines.ledger.proof.verify import run_verify, verify
from pipelines.ledger.publish import publish_part
from pipelines.ledger.reading import read_records
from pipelines.ledger.records import Commit, dumps
from tests.pipelines.ledger.finished import SPLITS, artifact


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path):
    if request.param == "local":
        place = Place(str(tmp_path / "out"), StorageConfig())
    else:
        place = Place(f"s3://corpus/{tmp_path.name}", request.getfixturevalue("s3"))
    artifact(place)
    return place


def complaint(place, repair=False) -> str:
    """Verify a place that is not whole, and give all that was said."""
    said = []
    with pytest.raises(RunFailed) as error:
        run_verify(place, repair, said.append)
    return "\n".join([*said, str(error.value)])


def left(place) -> dict:
    done = read_records(place).now().done
    return {split: done[split].spans for split in SPLITS if not done[split].complete}


def test_a_whole_artifact_is_found_whole(place):
    run_verify(place, False, (said := []).append)
    assert "10 data and 2 rejected rows" in said[0] and "1 units failed" in said[0]
    assert "is whole" in said[-1]


def spoil(data: bytes) -> bytes:
    return data[:100] + bytes([data[100] ^ 1]) + data[101:]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spoil, "checksum"),
        (lambda data: data[:-7], "bytes"),
        (lambda data: b"", "it has 0 of"),
        (None, "it is missing"),
    ],
)
def test_a_damaged_part_is_named_with_what_is_wrong_and_repair_takes_back_just_it(place, change, words):
    name = place.names("data")[0]
    if change:
        place.publish(name, change(place.read(name)))
    else:
        place.remove(name)
    said = complaint(place)
    assert "damaged parts: 1" in said and f"{name}: " in said and "--repair" in said
    assert words in said
    before = read_records(place).now()
    assert "repaired: 1 parts taken back" in complaint(place, repair=True)
    assert len(left(place)) == 1 and name not in place.names("data")
    after = read_records(place).now()
    assert sum(after.counts["kept"].values()) < sum(before.counts["kept"].values())
    assert "damaged parts" not in complaint(place) and "not settled yet" in complaint(place)


def test_what_belongs_to_no_commit_is_found_and_removed(place):
    orphan = f"data/part-00000001-{'0' * 32}.parquet"
    place.publish(orphan, b"half a fi")
    assert orphan in complaint(place)
    run_verify(place, True, print)
    assert not place.exists(orphan)


def test_files_of_others_among_the_parts_are_named_and_left_alone(place):
    place.publish("data/mine.parquet", b"not ours")
    said = complaint(place, repair=True)
    assert "data/mine.parquet" in said and "Move the files of others away" in said
    assert place.exists("data/mine.parquet")


def test_ids_that_are_there_twice_are_named_and_repair_leaves_them_once(place, monkeypatch):
    records = read_records(place)
    commit = next(c for c in records.commits(place) if SPLITS[1] in c.spans)
    table = pq.read_table(io.BytesIO(place.read(commit.parts[0].name)))
    copy = publish_part(Ledger(place, 1), f"data/part-00000001-{'1' * 32}.parquet", table)
    Ledger(place, 1).commit("x-0", Commit([copy], commit.spans, commit.counts))
    monkeypatch.setattr("pipelines.ledger.proof.uniqueness.IDS_AT_ONCE", 5)  # so that several readings are needed
    assert set(verify(place).twice) == set(table["id"].to_pylist())
    complaint(place, repair=True)
    assert verify(place).twice == [] and list(left(place)) == [SPLITS[1]]


def test_an_unfinished_artifact_is_told_from_a_damaged_one(place, tmp_path):
    ledger = Ledger(place, 1)
    assert ledger.current()
    records = read_records(place)
    state = records.now()
    state.done.pop(SPLITS[1])
    place.publish("_gristmill/heads/00000001.json", dumps(state.record()))
    said = complaint(place)
    assert "not settled yet" in said and SPLITS[1] in said and "goes on with what is missing" in said


def test_records_that_cannot_be_read_are_named_plainly(place):
    place.publish(f"{EPOCHS}/00000001.json", b'{"owner"')
    with pytest.raises(BadRequest, match=r"records of .* cannot be read"):
        verify(place)


def test_a_folder_that_is_no_artifact_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="is no artifact"):
        verify(Place(str(tmp_path), StorageConfig()))


def test_what_was_committed_while_verify_read_is_not_removed(place, monkeypatch):
    """A run may end between the reading and the repair."""
    orphan = f"data/part-00000001-{'0' * 32}.parquet"
    place.publish(orphan, b"half a fi")
    fresh = publish_part(Ledger(place, 1), f"data/part-00000001-{'2' * 32}.parquet", pa.table({"id": ["new"]}))

    def commit(place, records, say):
        Ledger(place, 1).commit("y-0", Commit([fresh], {SPLITS[0]: []}, {"kept": {"qa": 1}}))

    findings = verify(place)
    assert findings.orphans == [orphan, fresh.name]
    monkeypatch.setattr("pipelines.ledger.proof.repair.require_free", commit)
    mend(place, findings, print)
    assert place.exists(fresh.name) and not place.exists(orphan) and verify(place).whole


def test_what_a_killed_writer_left_half_written_is_found_and_removed(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    artifact(place)
    half, mine = tmp_path / f"data/.{'0' * 32}.tmp", tmp_path / "data/.mine.tmp"
    for file in (half, mine):
        file.write_bytes(b"half")
    assert f"data/{half.name}" in complaint(place)
    run_verify(place, True, print)
    assert not half.exists() and mine.exists()


def test_a_missing_part_and_ids_that_are_there_twice_are_repaired_together(place):
    first, second = (next(c for c in read_records(place).commits(place) if split in c.spans) for split in SPLITS)
    table = pq.read_table(io.BytesIO(place.read(second.parts[0].name)))
    copy = publish_part(Ledger(place, 1), f"data/part-00000001-{'1' * 32}.parquet", table)
    Ledger(place, 1).commit("x-0", Commit([copy], second.spans, second.counts))
    place.remove(first.parts[0].name)
    complaint(place, repair=True)
    found = verify(place)
    assert (found.damaged, found.twice, found.orphans) == ({}, [], []) and set(left(place)) == set(SPLITS)
