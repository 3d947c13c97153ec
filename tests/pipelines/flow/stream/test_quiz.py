"""A pipeline that asks twice about each chunk, on the flow that knows no pipeline."""

import json

import pyarrow.parquet as pq
import pytest

from operators.errors import BadRequest
from pipelines.config import compose
from pipelines.ledger.proof.verify import verify
from pipelines.run.execute import run_pipeline
from tests.fakes.openai_server import running_server
from tests.pipelines.flow.stream.quiz import FORM, QuizJob, QuizPipeline

pytestmark = pytest.mark.usefixtures("ray_session")
SENTENCE = "The mill by the river grinds {} sacks of rye each day. "


@pytest.fixture(scope="module")
def server():
    with running_server() as server:
        yield server


def test_what_cannot_work_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"text": "one"}\n')
    words = [f"input.path={tmp_path / 'corpus.jsonl'}", f"output.path={tmp_path / 'out'}"]
    with pytest.raises(BadRequest, match="engine"):
        QuizPipeline(compose(QuizJob, None, words))


def test_each_chunk_has_a_question_and_its_answer_and_what_failed_is_asked_again_alone(server, tmp_path):
    texts = ["".join(SENTENCE.format(n) for n in range(40)), "<<400>> This one is refused.", "", SENTENCE.format(7)]
    corpus, output = tmp_path / "corpus.jsonl", tmp_path / "out"
    corpus.write_text("".join(json.dumps({"id": f"d{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    words = [
        f"input.path={corpus}",
        f"output.path={output}",
        "chunk.max_tokens=60",
        "commit.max_uncommitted_requests=16",
    ]
    words += [f"engine.openai.base_url={server.url}", "engine.openai.model=fake"]
    place = run_pipeline(QuizPipeline(compose(QuizJob, None, words)), say=lambda line: None, tell=False)

    def rows(folder):
        return [row for name in place.names(folder) for row in pq.read_table(place.open(name)).to_pylist()]

    kept, left = rows("data"), rows("rejected")
    assert len({row["chunk_index"] for row in kept if row["document_id"] == "d0"}) > 5
    assert all(row["question"] and row["answer"] and row["question"] != row["answer"] for row in kept)
    assert list(kept[0]) == FORM.data.names and {row["kind"] for row in kept} == {"pair"}
    assert {row["document_id"]: (row["stage"], row["reason"]) for row in left} == {
        "d1": ("quiz", "bad_request"),
        "d2": ("read", "empty_text"),
    }
    assert server.stats()["requests"] == 2 * len(kept) + 1
    findings = verify(place)
    assert findings.whole and findings.failed == 1

    server.clear()
    run_pipeline(QuizPipeline(compose(QuizJob, None, words)), say=lambda line: None, tell=False)
    assert server.stats()["requests"] == 0  # nothing is left to do
    run_pipeline(QuizPipeline(compose(QuizJob, None, words)), retry_failed=True, say=lambda line: None, tell=False)
    assert server.stats()["requests"] == 1 and verify(place).failed == 1
    assert sorted(row["id"] for row in rows("data")) == sorted(row["id"] for row in kept)
