"""The rephrase pipeline from files to artifact, on a real Ray, against a server that only pretends to be a model."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from operators.errors import BadRequest
from operators.rewrite import prompts
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from operators.table import ORIGINAL
from pipelines.config import compose
from pipelines.exits import RunFailed
from pipelines.ledger.lease import release
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.proof.verify import run_verify, verify
from pipelines.rephrase.job import RephraseJob
from pipelines.rephrase.pipeline import run_rephrase
from pipelines.rephrase.rows import DATA
from tests.fakes.openai_server import running_server

PROMPTS = Path(prompts.__file__).parent
WORDS = "The mill by the river grinds {} sacks of rye and {} sacks of wheat each day, and the miller counts them twice."


@pytest.fixture(scope="module")
def server():
    with running_server() as server:
        yield server


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus")


def write_corpus(folder):
    """Write forty documents of one to five chunks, in two files, one of them with a broken line."""
    folder.mkdir()
    for name in ("a", "b"):
        lines = [
            json.dumps(
                {"id": f"{name}{i}", "text": " ".join(WORDS.format(i, j) for j in range(1 + 3 * (i % 5))), "url": i}
            )
            for i in range(20)
        ]
        (folder / f"{name}.jsonl").write_text(
            "\n".join([*lines, '{"text": 7', ""][: None if name == "a" else -2]) + "\n"
        )
    return folder


def job(server, corpus, output, *words) -> RephraseJob:
    settings = {
        "input.path": corpus,
        "styles": "[medium,qa]",
        "chunk.max_tokens": 100,
        "engine.openai.base_url": server.url,
        "engine.openai.model": "fake",
        "engine.openai.concurrency": 8,
        "clean.preset": "wrap",
        "output.path": output,
    }
    return compose(RephraseJob, None, [f"{key}={value}" for key, value in settings.items()] + list(words))


@pytest.fixture(scope="module")
def finished(ray_session, server, tmp_path_factory):
    """A corpus and what was made of it, to be copied: the job of both, and the artifact."""
    folder = tmp_path_factory.mktemp("finished")
    run_rephrase(job(server, write_corpus(folder / "corpus"), folder / "out"))
    return folder


@pytest.fixture
def output(finished, tmp_path):
    """A finished artifact of the corpus beside the one it is a copy of."""
    shutil.copytree(finished / "out", tmp_path / "copied")
    return tmp_path / "copied"


def rows(output, folder="data") -> list[dict]:
    return [row for path in sorted((output / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_every_document_becomes_rows_in_the_promised_form(ray_session, server, corpus, tmp_path):
    output = tmp_path / "out"
    run_rephrase(job(server, corpus, output, "mix.synthetic=100"))
    data, rejected = rows(output), rows(output, "rejected")
    assert pq.read_schema(next((output / "data").glob("*.parquet"))).names == DATA.names
    assert len({row["id"] for row in data + rejected}) == len(data) + len(rejected)
    originals = {row["document_id"]: row for row in data + rejected if row["style"] == ORIGINAL}
    assert set(originals) == {f"{name}{i}" for name in "ab" for i in range(20)}
    assert [row["reason"] for row in rejected if row["stage"] == "read"] == ["invalid_json"]
    for style in ("medium", "qa"):
        for document, original in originals.items():
            pieces = [r for r in data + rejected if r["style"] == style and r["document_id"] == document]
            pieces.sort(key=lambda row: row["chunk_index"])
            assert "".join(piece["source_text"] for piece in pieces) == original["text"]
    assert json.loads(originals["a3"]["metadata"]) == {"url": 3}
    assert {row["model"] for row in data if row["style"] != ORIGINAL} == {"fake"}


def test_a_finished_run_says_so_and_asks_nothing(server, finished, output):
    server.clear()
    said = []
    run_rephrase(job(server, finished / "corpus", output), say=said.append)
    assert server.stats()["requests"] == 0
    assert "complete" in " ".join(said)


def test_a_run_that_died_before_its_card_was_written_gets_it_at_the_next(server, finished, tmp_path):
    output = tmp_path / "out"  # its name stands in the card
    shutil.copytree(finished / "out", output)
    card = (output / "README.md").read_text()
    (output / "README.md").unlink()
    run_rephrase(job(server, finished / "corpus", output))
    assert (output / "README.md").read_text() == card


def test_an_artifact_inside_its_input_folder_is_not_read(ray_session, server, corpus):
    for _ in range(2):
        run_rephrase(job(server, corpus, corpus / "out"), say=(said := []).append)
    assert "complete" in " ".join(said)


def test_what_is_taken_back_is_done_again_and_nothing_else(ray_session, server, corpus, tmp_path):
    output, small = tmp_path / "out", "commit.max_uncommitted_requests=40"
    run_rephrase(job(server, corpus, output, small))
    before = {row["id"]: row["text"] for row in rows(output) + rows(output, "rejected")}
    sorted((output / "data").iterdir())[0].unlink()
    place = Place(str(output), StorageConfig())
    with pytest.raises(RunFailed, match="goes on with what is missing"):
        run_verify(place, repair=True)
    server.clear()
    run_rephrase(job(server, corpus, output, small))
    again = rows(output) + rows(output, "rejected")
    assert len(again) == len(before)
    assert {row["id"]: row["text"] for row in again} == before
    assert 0 < server.stats()["requests"] < len(before)
    run_verify(place, repair=False)


def test_what_failed_is_done_again_when_asked_and_only_then(ray_session, corpus, tmp_path):
    output = tmp_path / "out"
    with running_server() as whole:
        run_rephrase(job(whole, corpus, tmp_path / "whole", "mix.synthetic=100"))
    with running_server(share_400=0.2) as server:
        run_rephrase(job(server, corpus, output, "mix.synthetic=100"))
        failed = {row["id"] for row in rows(output, "rejected") if row["stage"] == "rephrase"}
        server.clear()
        run_rephrase(job(server, corpus, output, "mix.synthetic=100"), say=(said := []).append)
        assert failed and server.stats()["requests"] == 0
        assert f"{len(failed):,} units failed" in said[-1] and "--retry failed" in said[-1]
    with running_server() as server:
        run_rephrase(job(server, corpus, output, "mix.synthetic=100"), retry_failed=True)
        assert server.stats()["requests"] == len(failed)
    run_verify(Place(str(output), StorageConfig()), repair=False)
    for folder in ("data", "rejected"):
        texts = [{row["id"]: row["text"] for row in rows(place, folder)} for place in (output, tmp_path / "whole")]
        assert texts[0] == texts[1]


def test_documents_above_the_bound_go_one_by_one_and_none_waits_for_another(ray_session, server, tmp_path):
    text = " ".join(WORDS.format(i, i) for i in range(60))
    (tmp_path / "long.jsonl").write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i in range(4)))
    bound = ("commit.max_uncommitted_requests=40", "stitch=true", "chunk.max_tokens=40")
    run_rephrase(job(server, tmp_path / "long.jsonl", tmp_path / "out", *bound))
    findings = verify(Place(str(tmp_path / "out"), StorageConfig()))
    assert findings.whole and findings.failed == 0
    assert len({row["document_id"] for row in rows(tmp_path / "out") + rows(tmp_path / "out", "rejected")}) == 4


def test_a_run_that_died_before_it_cleaned_up_does_so_at_the_next(server, finished, output):
    place = Place(str(output), StorageConfig())
    orphan = f"data/part-00000001-{'0' * 32}.parquet"
    place.publish(orphan, b"of a write that died")
    for number in (1, 2):
        release(Ledger(place, number), swept=False)
    server.clear()
    run_rephrase(job(server, finished / "corpus", output))
    assert not place.exists(orphan) and server.stats()["requests"] == 0


def test_the_limit_takes_the_first_documents_of_all_files_and_ends(ray_session, server, corpus, tmp_path):
    output = tmp_path / "out"
    for _ in range(2):
        run_rephrase(job(server, corpus, output, "input.limit=23", "mix.synthetic=100"))
    found = {r["document_id"] for r in rows(output) + rows(output, "rejected") if r["style"] == ORIGINAL}
    assert found == {f"a{i}" for i in range(20)} | {"b0", "b1"}  # the broken line of a.jsonl is one of the 23


def test_rewrites_are_stitched_back_into_documents(ray_session, server, corpus, tmp_path):
    run_rephrase(job(server, corpus, tmp_path / "out", "stitch=true", "carry_context=true", "mix.real=0"))
    data = rows(tmp_path / "out")
    assert len(data) == len({(row["document_id"], row["style"]) for row in data})
    assert all(row["chunk_index"] is None for row in data)


def test_chains_of_a_long_document_go_on_where_their_committed_rounds_end(ray_session, server, tmp_path):
    """What is asked again after some of its parts were lost is asked word for word as in the run that was not disturbed."""
    (tmp_path / "long.jsonl").write_text(
        json.dumps({"id": "long", "text": " ".join(WORDS.format(n, n + 1) for n in range(160))}) + "\n"
    )
    own = tmp_path / "own.md"
    shutil.copy(PROMPTS / "medium.md", own)  # a style may be a file: its rows bear the prompt's name
    words = [
        f"styles=[{own},qa]",
        "carry_context=true",
        "commit.max_uncommitted_requests=64",
        "mix.synthetic=100",
        "output.rows_per_part=1",
    ]
    long = job(server, tmp_path / "long.jsonl", tmp_path / "out", *words)
    server.clear()
    run_rephrase(long)
    undisturbed, asked = {row["id"]: row["text"] for row in rows(tmp_path / "out")}, server.stats()
    parts = sorted(
        (tmp_path / "out" / "data").iterdir(), key=lambda part: pq.read_table(part)["chunk_index"].to_pylist()[-1]
    )
    assert len(parts) > 4
    for part in (parts[1], parts[-2], parts[-1]):
        part.unlink()
    with pytest.raises(RunFailed, match="goes on with what is missing"):
        run_verify(Place(str(tmp_path / "out"), StorageConfig()), repair=True)
    run_rephrase(long)
    again = server.stats()
    assert {row["id"]: row["text"] for row in rows(tmp_path / "out")} == undisturbed
    assert again["distinct"] == asked["distinct"] and asked["requests"] < again["requests"] < 2 * asked["requests"]


def test_a_bad_request_of_one_row_harms_no_other(ray_session, server, corpus, tmp_path):
    (corpus / "c.jsonl").write_text(json.dumps({"id": "bad", "text": "This one is refused. <<400>>"}) + "\n")
    run_rephrase(job(server, corpus, tmp_path / "out", "mix.synthetic=100", "styles=[medium]"))
    left = [row for row in rows(tmp_path / "out", "rejected") if row["stage"] == "rephrase"]
    assert [(row["document_id"], row["reason"]) for row in left] == [("bad", "bad_request")]


def test_an_endpoint_that_is_not_there_fails_with_advice(ray_session, server, corpus, tmp_path):
    with pytest.raises(RunFailed, match=r"nothing answers at http://127\.0\.0\.1:9"):
        run_rephrase(job(server, corpus, tmp_path / "out", "engine.openai.base_url=http://127.0.0.1:9/v1"))


def test_a_changed_setting_that_decides_content_is_refused_and_a_placement_is_not(server, finished, output):
    run_rephrase(job(server, finished / "corpus", output, "engine.openai.concurrency=3", "engine.copies=2"))
    with pytest.raises(BadRequest, match=r"chunk\.max_tokens: 100 there, 90 now"):
        run_rephrase(job(server, finished / "corpus", output, "chunk.max_tokens=90"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["input.path=/no/such/folder"], "/no/such/folder"),
        (["input.text_column=body"], "id, text, url"),
        (["styles=[]"], "styles is empty"),
        (["styles=[qa,qa]"], "twice"),
        (["engine.vllm.model=x"], "engine.vllm and engine.openai"),
        (["engine.openai=null"], "fill exactly one"),
        (["engine.openai.context_tokens=200"], "does not fit"),
        (["output.path=null"], "output.path"),
        (["mix.by=bytes"], "mix.by"),
    ],
)
def test_bad_requests_are_answered_before_anything_starts(server, corpus, tmp_path, words, said):
    server.clear()
    with pytest.raises(BadRequest, match=said):
        run_rephrase(job(server, corpus, tmp_path / "out", *words))
    assert server.stats()["requests"] == 0


def test_documents_with_equal_ids_are_all_kept_and_the_user_is_told(ray_session, server, tmp_path):
    (tmp_path / "twins.jsonl").write_text(
        '{"id": "x", "text": "The first one."}\n{"id": "x", "text": "The second one."}\n'
    )
    said = []
    run_rephrase(job(server, tmp_path / "twins.jsonl", tmp_path / "out", "mix.synthetic=100"), say=said.append)
    originals = [r for r in rows(tmp_path / "out") + rows(tmp_path / "out", "rejected") if r["style"] == ORIGINAL]
    assert {row["text"] for row in originals} == {"The first one.", "The second one."}
    assert any("1 documents have the id of another" in line for line in said)


def test_the_artifact_loads_with_datasets_and_its_card_has_front_matter(output, tmp_path):
    import datasets
    import yaml

    loaded = datasets.load_dataset(str(output), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == len(rows(output))
    front = (output / "README.md").read_text().split("---")[1]
    assert yaml.safe_load(front)["configs"][0]["data_files"] == "data/*.parquet"


def test_a_password_in_the_endpoint_is_nowhere_in_the_artifact(ray_session, server, corpus, tmp_path):
    url = server.url.replace("http://", "http://me:hush-hush@")
    run_rephrase(job(server, corpus, tmp_path / "out", f"engine.openai.base_url={url}"))
    files = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert files and not any(b"hush-hush" in content for content in files)
