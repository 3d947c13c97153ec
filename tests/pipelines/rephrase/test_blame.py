"""Who is to blame where answers fail: the documents, or the engine and the settings; and what becomes of the run."""

import itertools
import json

import pyarrow.parquet as pq
import pytest

from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.config import compose
from pipelines.exits import RunFailed
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import read_records
from pipelines.rephrase.job import RephraseJob
from pipelines.rephrase.pipeline import run_rephrase
from tests.fakes.scripted_server import chat, error, scripted_server

UNKNOWN = 400, {}, error("Unrecognized request argument supplied: min_p")
THOUGHT = chat(None, "length", reasoning_content="Okay, the user wants a paraphrase.")


def rewrite(asked) -> str:
    """Put the words of the passage into another order."""
    passage = asked.prompt.partition("<passage>\n")[2].partition("\n</passage>")[0]
    return " ".join(sorted(passage.split(), key=lambda word: word[::-1]))


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus.jsonl", 300)


def write_corpus(path, documents: int):
    lines = [
        {"id": f"d{i}", "text": f"River {i} turns the wheel of a mill, which grinds {i} sacks of rye."}
        for i in range(documents)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def job(url: str, corpus, output, *words: str) -> RephraseJob:
    settings = {
        "input.path": corpus,
        "styles": "[medium]",
        "engine.openai.base_url": url,
        "engine.openai.model": "fake",
        "engine.openai.concurrency": 8,
        "engine.openai.backoff_s": 0.01,
        "clean.preset": "wrap",
        "mix.synthetic": 100,
        "output.path": output,
    }
    return compose(RephraseJob, None, [f"{key}={value}" for key, value in settings.items()] + list(words))


def rows(output, folder: str) -> list[dict]:
    """Read the rewrites that an artifact keeps, or those that left."""
    read = [row for path in (output / folder).glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    return [row for row in read if row["style"] == "medium"]


def run(answer, corpus, output, *words: str) -> tuple[list[str], int]:
    """Run against a server that answers so; give what was said, and the number of requests."""
    said: list[str] = []
    with scripted_server(answer) as server:
        try:
            run_rephrase(job(server.url, corpus, output, *words), say=said.append)
        except RunFailed as stopped:
            said.append(f"stopped: {stopped}")
        return said, len(server.asked)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (UNKNOWN, ["rephrase/bad_request", "Unrecognized request argument supplied: min_p", "engine.openai.extra"]),
        pytest.param(
            *(THOUGHT, ["rephrase/no_text", "nothing but reasoning came", "Raise max_tokens"]), marks=pytest.mark.long
        ),
        pytest.param(
            *(chat("Half a sent", "abort"), ["rephrase/unfinished", "finish_reason 'abort' after 11 characters"]),
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_all_requests_meet_stops_the_run_and_is_charged_to_none(ray_session, corpus, tmp_path, answer, words):
    said, requests = run(lambda asked: answer, corpus, tmp_path / "out")
    assert said[-1].startswith("stopped: 20 of the first 20 requests in style 'medium' came to nothing for one reason")
    assert all(word in said[-1] for word in words)
    assert requests < 200  # of 300 documents; three for each answer that broke off
    assert not any(
        done.spans for done in read_records(Place(str(tmp_path / "out"), StorageConfig())).now().done.values()
    )
    said, requests = run(lambda asked: chat(rewrite(asked)), corpus, tmp_path / "out", "max_tokens=900")
    assert len(rows(tmp_path / "out", "data")) == requests == 300


def one_in(many: int):
    """Answer the first request as it should be and then one in so many; of all others nothing but a thought comes."""
    requests = itertools.count()
    return lambda asked: chat(rewrite(asked)) if next(requests) % many == 0 else THOUGHT


@pytest.mark.parametrize(
    ("answer", "words", "settings"),
    [
        (lambda asked: chat(rewrite(asked)[:20], "length"), ["clean/truncated", "Raise max_tokens"], ["clean.truncated=true"]),
        (lambda asked: chat(" "), ["clean/empty"], []),
        (lambda asked: chat(f"<think>{rewrite(asked)}"), ["clean/only_reasoning"], ["clean.preset=strict"]),
        (lambda asked: chat(asked.prompt), ["clean/instruction_leak", "clean.instruction_leak=false"], []),
        (one_in(25), ["rephrase/no_text", "newest"], []),
    ],
    ids=["truncated", "empty", "thinking", "leak", "nearly all"],
)  # fmt: skip
def test_answers_that_are_nearly_all_of_no_use_stop_the_run(ray_session, corpus, tmp_path, answer, words, settings):
    said, requests = run(answer, write_corpus(corpus, 600), tmp_path / "out", *settings)
    assert said[-1].startswith("stopped: ") and all(word in said[-1] for word in words)
    assert "document d" in said[-1]
    assert requests < 450
    assert rows(tmp_path / "out", "rejected") == []


@pytest.mark.long
def test_a_run_that_was_stopped_goes_on_with_what_it_has_kept_and_pays_no_more_for_it(ray_session, corpus, tmp_path):
    """A server begins to refuse in the middle."""
    output, sent = tmp_path / "out", []

    def answer(asked):
        sent.append(asked)
        return chat(rewrite(asked)) if len(sent) <= 200 else UNKNOWN

    said, _ = run(answer, write_corpus(corpus, 1500), output, "engine.openai.concurrency=16")
    assert said[-1].startswith("stopped: ") and "of the newest 1,0" in said[-1]
    kept = {row["document_id"]: row["text"] for row in rows(output, "data")}
    assert 50 < len(kept) <= 200 and rows(output, "rejected") == []
    _, requests = run(lambda asked: chat(rewrite(asked)), corpus, output)
    assert requests == 1500 - len(kept)
    texts = {row["document_id"]: row["text"] for row in rows(output, "data")}
    assert len(texts) == 1500 and kept.items() <= texts.items()
    assert verify(Place(str(output), StorageConfig())).whole


def test_documents_that_are_bad_themselves_stop_no_run_and_a_resumed_one_neither(ray_session, corpus, tmp_path):
    """The last 60 documents are filtered, and a run that was asked for the first ones before ends with these alone."""
    output = tmp_path / "out"
    (tmp_path / "in").mkdir()
    first, last = (tmp_path / "in" / name for name in ("a.jsonl", "b.jsonl"))
    write_corpus(first, 300)
    run(lambda asked: chat(rewrite(asked)), tmp_path / "in", output)
    last.write_text("".join(json.dumps({"id": f"x{i}", "text": f"Bad {i} is a text."}) + "\n" for i in range(60)))
    said, _ = run(lambda asked: chat("", "content_filter"), tmp_path / "in", output)
    assert not any(line.startswith("stopped") for line in said)
    assert "60 units failed" in said[-1]
    assert {row["reason"] for row in rows(output, "rejected")} == {"filtered"}


def test_the_run_goes_on_as_it_is_where_it_is_told_to(ray_session, corpus, tmp_path):
    said, requests = run(lambda asked: UNKNOWN, corpus, tmp_path / "out", "faults.give_up_share=null")
    assert requests == 300 and len(rows(tmp_path / "out", "rejected")) == 300
    assert said[-1].startswith("stopped: nothing was kept at")


def test_a_few_requests_that_fail_are_recorded_and_the_run_says_why_it_kept_nothing(ray_session, corpus, tmp_path):
    output, few = tmp_path / "out", write_corpus(corpus, 3)
    for _ in range(2):  # the second time nothing is left to do, and that is still no success
        said, _ = run(lambda asked: chat("The old mi", "abort"), few, output)
        assert (
            "stopped: nothing was kept at" in said[-1] and "3 of 3 came to nothing as rephrase/unfinished." in said[-1]
        )
        assert "For example d" in said[-1] and "finish_reason 'abort' after 10 characters" in said[-1]
        assert "3 units failed" in said[-2]
    assert {row["reason"] for row in rows(output, "rejected")} == {"unfinished"}


def test_a_run_of_which_the_rules_keep_nothing_says_which_and_ends_well(ray_session, corpus, tmp_path):
    said, _ = run(
        lambda asked: chat(rewrite(asked)),
        write_corpus(corpus, 3),
        tmp_path / "out",
        "clean.copy=true",
        "clean.max_copied=0",
    )
    assert not any(line.startswith("stopped") for line in said)
    said, _ = run(
        lambda asked: chat("I'm sorry, but I can't assist."),
        write_corpus(corpus, 3),
        tmp_path / "no",
        "clean.refusal=true",
    )
    assert said[-1].startswith("note: nothing was kept") and "clean/refusal" in said[-1]
    assert "It was: \"I'm sorry, but I can't assist.\"" in said[-1]


def test_a_server_that_fails_everybody_charges_nobody(ray_session, corpus, tmp_path):
    said, _ = run(
        lambda asked: (500, {}, error("out of memory")), corpus, tmp_path / "out", "engine.openai.max_retries=1"
    )
    assert "requests in a row came to nothing" in said[-1] or "first 20 requests" in said[-1]
    assert "out of memory" in said[-1]
    assert rows(tmp_path / "out", "rejected") == []


def test_a_cap_that_leaves_no_room_for_anybody_is_no_documents_length(ray_session, corpus, tmp_path):
    refusal = 400, {}, error("This model's maximum context length is 512 tokens. However, you requested 612 tokens.")
    said, requests = run(
        lambda asked: refusal if asked.body["max_tokens"] > 100 else chat("The."), corpus, tmp_path / "out"
    )
    assert (
        "rephrase/no_room" in said[-1]
        and "maximum context length is 512" in said[-1]
        and "Lower max_tokens" in said[-1]
    )
    assert requests < 150
