"""The whole pipeline from bucket to bucket, while the storage fails: nothing is lost, nothing is there twice."""

import json
import math

import pytest

from operators.storage.place import Place
from pipelines.config import compose
from pipelines.exits import RunFailed
from pipelines.ledger.proof.verify import run_verify, verify
from pipelines.rephrase.job import RephraseJob
from pipelines.rephrase.pipeline import run_rephrase
from tests.fakes.faulty_s3 import answer, faulty_s3, lose_answer, reset_body, reset_request
from tests.fakes.openai_server import running_server

DOCUMENTS = 240


@pytest.fixture
def faulty(s3):
    with faulty_s3(s3) as faulty:
        yield faulty


@pytest.fixture
def server():
    with running_server() as server:
        yield server


def job(faulty, server, name: str) -> RephraseJob:
    """A run over two files in a bucket, in many commits."""
    for half in "ab":
        lines = (
            json.dumps({"id": f"{half}{i}", "text": f"Mill {i} grinds rye and wheat."}) for i in range(DOCUMENTS // 2)
        )
        Place(f"s3://corpus/{name}", faulty.storage).publish(f"in/{half}.jsonl", "\n".join(lines).encode())
    settings = {
        "input.path": f"s3://corpus/{name}/in",
        "styles": "[medium]",
        "engine.openai.base_url": server.url,
        "engine.openai.model": "fake",
        "storage.endpoint_url": faulty.storage.endpoint_url,
        "commit.max_uncommitted_requests": 80,
        "clean.preset": "wrap",
        "output.path": f"s3://corpus/{name}/out",
    }
    return compose(RephraseJob, None, [f"{key}={value}" for key, value in settings.items()])


def check_all_is_there(faulty, name: str) -> None:
    place = Place(f"s3://corpus/{name}/out", faulty.storage)
    run_verify(place, repair=False)
    assert sum(verify(place).rows.values()) == 2 * DOCUMENTS


def test_a_run_comes_through_throttling_resets_and_lost_answers(ray_session, faulty, server):
    stormy = job(faulty, server, "storm")
    for number, fault in enumerate(
        (answer(503, "SlowDown"), answer(500, "InternalError"), lose_answer, reset_request(10))
    ):
        for first in range(3 + number, 200, 17):
            faulty.fails(fault, "PUT", "/storm/out/", first=first)
    faulty.fails(reset_body(100), "GET", r"/storm/in/a\.jsonl", first=1)
    faulty.fails(answer(503, "SlowDown"), "GET", "/storm|prefix=storm", first=5, times=3)
    run_rephrase(stormy)
    assert faulty.failed > 15
    check_all_is_there(faulty, "storm")
    assert server.stats()["requests"] == DOCUMENTS


@pytest.mark.long
def test_credentials_that_expire_in_the_middle_end_the_run_and_the_next_goes_on(ray_session, faulty, server):
    expiring = job(faulty, server, "expiring")
    faulty.fails(answer(400, "ExpiredToken"), "PUT", "/expiring/out/_gristmill/commits/", first=3, times=math.inf)
    with pytest.raises(RunFailed, match=r"ExpiredToken.*same command"):
        run_rephrase(expiring)
    faulty.mend()
    run_rephrase(expiring)
    check_all_is_there(faulty, "expiring")
    assert server.stats()["requests"] <= DOCUMENTS + expiring.commit.max_uncommitted_requests
