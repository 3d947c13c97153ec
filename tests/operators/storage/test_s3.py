import pickle
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from operators.errors import BadRequest, StorageFailure, StorageRefusal
from operators.storage import s3 as patient
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.filesystem import open_filesystem, open_reading
from operators.storage.listing import list_input, split_input
from operators.storage.place import Place
from operators.storage.reading import read_documents
from tests.fakes import faulty_s3 as fakes
from tests.fakes.faulty_s3 import FaultyS3, answer, faulty_s3

BYTES = random.Random(0).randbytes(300_000)
LINES = b"".join(b'{"text": "%d %s"}\n' % (i, b"x" * 1000) for i in range(2000))  # two megabytes, so two splits of one


@pytest.fixture(scope="module")
def proxy(s3) -> Iterator[FaultyS3]:
    with faulty_s3(s3) as faulty:
        yield faulty


@pytest.fixture
def faulty(proxy, monkeypatch) -> FaultyS3:
    for name, seconds in {"PATIENCE_S": 30, "FIRST_PAUSE_S": 0.01, "LONGEST_PAUSE_S": 0.05, "SILENCE_S": 0.5}.items():
        monkeypatch.setattr(patient, name, seconds)
    proxy.mend()
    return proxy


@pytest.fixture
def place(faulty, tmp_path) -> Place:
    return Place(f"s3://corpus/{tmp_path.name}/out", faulty.storage)


@pytest.fixture
def behind(s3, place) -> Place:
    """The same place without the faults."""
    return Place(place.url, s3)


def documents(url: str, storage: StorageConfig) -> list[tuple[str | None, str | None]]:
    """Text and reason of all rows of an input."""
    config = InputConfig(path=url, split_mb=1)
    pieces = (
        p for split in split_input(list_input(config, storage), config) for p in read_documents(split, config, storage)
    )
    return [(row["text"], row["reason"]) for piece in pieces for row in piece.documents.to_pylist()]


def odd_reads(url: str, storage: StorageConfig, read_ahead: bool) -> bytes:
    """Read a file in steps of odd sizes, going back and forth between them."""
    sizes, parts = random.Random(1), []
    with open_reading(url, storage, read_ahead) as file:
        while True:
            at = file.tell()
            aside = file.seek(sizes.randrange(len(BYTES) - 10))
            assert file.read(10) == BYTES[aside : aside + 10]
            file.seek(at)
            part = file.read(sizes.randrange(1, 60_000))
            if not part:
                return b"".join(parts)
            parts.append(part)


READ_FAULTS = {
    "slow down": answer(503, "SlowDown"),
    "too many": answer(429, "TooManyRequests"),
    "internal error": answer(500, "InternalError"),
    "request timeout": answer(400, "RequestTimeout"),
    "reset before the answer": fakes.Exchange.reset,
    "reset in the body": fakes.reset_body(7),
    "end in the body": fakes.end_body(7),
    "stalled body": fakes.stall_body(7),
    "no answer": fakes.Exchange.hang,
    "short answer": fakes.shorten(7),
    "range passed over": fakes.without("Range"),
}


@pytest.mark.parametrize("read_ahead", [True, False])
@pytest.mark.parametrize("fault", READ_FAULTS)
def test_reading_rides_out(fault, read_ahead, faulty, place, behind):
    behind.publish("a", BYTES)
    faulty.fails(READ_FAULTS[fault], "GET", "/a$", times=2)
    assert odd_reads(f"{place.url}/a", faulty.storage, read_ahead) == BYTES
    assert faulty.failed == 2


@pytest.mark.parametrize("fault", ["slow down", "internal error", "reset before the answer", "no answer"])
def test_looking_up_a_file_rides_out(fault, faulty, place, behind):
    behind.publish("a", BYTES)
    faulty.fails(READ_FAULTS[fault], "HEAD", times=2)
    assert place.exists("a") and faulty.failed == 2
    assert not place.exists("b")


# Without a range, an answer that is short and says so cannot be told from a short file.
@pytest.mark.parametrize("fault", [*READ_FAULTS][:-2])
def test_a_whole_file_is_read_whole(fault, faulty, place, behind):
    behind.publish("a", BYTES)
    faulty.fails(READ_FAULTS[fault], "GET", "/a$", times=2)
    assert place.read("a") == BYTES and faulty.failed == 2


WRITE_FAULTS = {
    "slow down": answer(503, "SlowDown"),
    "internal error": answer(500, "InternalError"),
    "conflict": answer(409, "OperationAborted"),
    "reset before the body": fakes.reset_request(0),
    "reset in the body": fakes.reset_request(100_000),
    "no answer": fakes.Exchange.hang,
    "lost answer": fakes.lose_answer,
}


@pytest.mark.parametrize("fault", WRITE_FAULTS)
def test_writing_rides_out(fault, faulty, place, behind):
    faulty.fails(WRITE_FAULTS[fault], "PUT", times=2)
    place.publish("a", BYTES)
    assert behind.read("a") == BYTES and faulty.failed == 2


@pytest.fixture
def large(monkeypatch) -> bytes:
    """Bytes of a multipart upload of three parts."""
    monkeypatch.setattr(patient, "PART_BYTES", 5 * 2**20)  # the least that S3 takes
    return random.Random(2).randbytes(11 * 2**20)


@pytest.mark.parametrize(
    ("fault", "method", "where"),
    [
        (answer(503, "SlowDown"), "POST", r"\?uploads"),
        (answer(503, "SlowDown"), "PUT", "partNumber=2"),
        (fakes.reset_request(2 * 2**20), "PUT", "partNumber=2"),
        (fakes.lose_answer, "PUT", "partNumber=3"),
        (answer(500, "InternalError"), "POST", "uploadId="),
        (answer(200, "InternalError"), "POST", "uploadId="),  # S3 may find out after it has begun to answer
        (fakes.lose_answer, "POST", "uploadId="),
    ],
)
def test_an_upload_in_parts_rides_out(fault, method, where, faulty, place, behind, large):
    faulty.fails(fault, method, where)
    place.publish("a", large)
    assert behind.read("a") == large and faulty.failed == 1


def test_an_upload_that_is_closed_when_its_last_answer_was_lost_begins_anew(faulty, place, behind, large):
    faulty.fails(fakes.lose_answer, "POST", "uploadId=")
    faulty.fails(answer(404, "NoSuchUpload"), "POST", "uploadId=", first=2)
    place.publish("a", large)
    assert behind.read("a") == large and faulty.failed == 2


def test_an_upload_that_the_store_stops_to_take_in_is_tried_again(faulty, place, behind, large, monkeypatch):
    monkeypatch.setattr(patient, "TRY_S", 2.0)
    faulty.fails(fakes.stall_request(1000), "PUT", "partNumber=1")
    place.publish("a", large)
    assert behind.read("a") == large and faulty.failed == 1


def test_an_upload_that_fails_leaves_the_old_file_and_no_parts(faulty, place, behind, large, monkeypatch):
    monkeypatch.setattr(patient, "PATIENCE_S", 0.3)
    behind.publish("a", b"old")
    faulty.fails(answer(503, "SlowDown"), "PUT", "partNumber=2", times=1000)
    with pytest.raises(StorageFailure):
        place.publish("a", large)
    filesystem, _ = open_filesystem(behind.url, behind.storage)
    uploads = filesystem.call_s3("list_multipart_uploads", Bucket="corpus").get("Uploads", [])
    assert behind.read("a") == b"old" and not [upload for upload in uploads if place.url.endswith(upload["Key"][:-2])]


def test_a_listing_of_many_pages_rides_out_and_is_whole(faulty, place, behind, monkeypatch):
    wanted = [f"data/{i}" for i in range(9)]
    for name in (*wanted, "data/.hidden", "data/deeper/x", "database"):
        behind.publish(name, b"")
    bucket, folder = open_filesystem(f"{behind.url}/data", behind.storage)
    bucket.call_s3(
        "put_object", Bucket="corpus", Key=f"{folder.partition('/')[2]}/", Body=b""
    )  # as consoles mark a folder
    monkeypatch.setattr(open_filesystem(place.url, place.storage)[0], "s3_additional_kwargs", {"MaxKeys": 2})
    faulty.fails(answer(503, "SlowDown"), "GET", "continuation-token", times=2)
    faulty.fails(fakes.reset_body(50), "GET", "continuation-token", first=5)
    assert place.names("data") == wanted
    assert faulty.failed == 3 and len([r for r in faulty.requests if "continuation-token" in r]) >= 5


def test_a_server_that_is_down_for_a_while_is_waited_for(faulty, place, behind, monkeypatch):
    behind.publish("a.jsonl", LINES)
    pauses = []

    def pause(tries: int) -> float:
        pauses.append(tries)
        if len(pauses) == 4:
            faulty.up()
        return 0.01

    monkeypatch.setattr(patient, "_pause_s", pause)
    place.exists("a.jsonl")  # a connection stands
    for act in (
        lambda: documents(f"{place.url}/a.jsonl", faulty.storage) == documents(f"{behind.url}/a.jsonl", behind.storage),
        lambda: place.publish("b", BYTES) or behind.read("b") == BYTES,
        lambda: place.names() == ["a.jsonl", "b"],
        lambda: place.create("c", BYTES) and place.read("c") == BYTES,
        lambda: place.remove("c") or not behind.exists("c"),
    ):
        pauses.clear()
        faulty.down()
        assert act() and len(pauses) >= 4


def test_what_is_given_up_is_told_without_secrets(faulty, place, monkeypatch):
    monkeypatch.setattr(patient, "PATIENCE_S", 0.2)
    faulty.fails(answer(503, "SlowDown"), times=1000)
    for act in (lambda: place.read("a"), lambda: place.publish("a", b"a"), lambda: place.exists("a")):
        with pytest.raises(StorageFailure, match=rf"^{place.url}/a: .*503.*same command goes on") as failure:
            act()
        assert not any(secret in str(failure.value) for secret in ("AKIA", "test-key", "test-secret", "?", "http://"))
        assert str(pickle.loads(pickle.dumps(failure.value))) == str(failure.value)
        assert not isinstance(failure.value, StorageRefusal)
    with pytest.raises(StorageFailure, match=f"{place.url}/data/: .*SlowDown"):
        place.names("data")
    faulty.down()
    with pytest.raises(StorageFailure, match=f"^{place.url}/a: .*no connection"):
        place.read("a")
    faulty.up()


CREDENTIALS = [
    (400, "ExpiredToken"),
    (403, "ExpiredToken"),
    (403, "InvalidAccessKeyId"),
    (403, "SignatureDoesNotMatch"),
    (403, "RequestTimeTooSkewed"),
    (401, "Unauthorized"),
]


@pytest.mark.parametrize(("status", "code"), CREDENTIALS)
@pytest.mark.parametrize("methods", ["HEAD|GET", "GET"])  # a HEAD has no body, so its answer names no code
def test_credentials_that_end_stop_the_run_and_lose_no_file(status, code, methods, faulty, place, behind):
    behind.publish("a.jsonl", LINES)
    config = InputConfig(path=f"{place.url}/a.jsonl", split_mb=1)
    (split, _) = split_input(list_input(config, faulty.storage), config)
    faulty.fails(answer(status, code), methods, "a.jsonl", times=1000)
    with pytest.raises(StorageRefusal, match=rf"a\.jsonl: .*{code}.*(Renew|Set the clock).*same command") as refusal:
        list(read_documents(split, config, faulty.storage))
    assert "AKIASECRET" not in str(refusal.value)
    assert len(faulty.requests) < 8  # it is not tried for long


@pytest.mark.parametrize(("status", "code"), CREDENTIALS)
def test_credentials_that_end_are_told_by_a_place(status, code, faulty, place):
    faulty.fails(answer(status, code), times=1000)
    for act in (
        lambda: place.read("a"),
        lambda: place.publish("a", b""),
        lambda: place.create("a", b""),
        lambda: place.exists("a"),
        lambda: place.names(),
        lambda: place.remove("a"),
        lambda: place.open("a"),
    ):
        with pytest.raises(StorageRefusal, match=code):
            act()
    with pytest.raises(BadRequest, match=code):
        place.check_writable()


def test_a_file_that_nobody_may_read_is_rejected_and_no_other(faulty, place, behind):
    for name in ("a.jsonl", "b.jsonl"):
        behind.publish(name, b'{"text": "x"}\n')
    faulty.fails(answer(403, "AccessDenied"), "HEAD|GET", r"a\.jsonl", times=1000)
    assert documents(place.url, faulty.storage) == [(None, "unreadable_file"), ("x", None)]


def test_a_lookup_that_is_refused_for_once_is_repeated(faulty, place, behind):
    behind.publish("a.jsonl", b'{"text": "x"}\n')
    faulty.fails(answer(403, ""), "HEAD", r"a\.jsonl")
    assert documents(place.url, faulty.storage) == [("x", None)] and faulty.failed == 1


def test_a_bucket_that_vanished_stops_the_run(s3, tmp_path):
    bucket, _ = open_filesystem("s3://passing", s3)
    bucket.mkdir("passing")
    bucket.pipe_file("passing/a.jsonl", b'{"text": "x"}\n')
    config = InputConfig(path="s3://passing/a.jsonl")
    (split,) = split_input(list_input(config, s3), config)
    bucket.rm("passing", recursive=True)
    place = Place("s3://passing/out", s3)
    for act in (
        lambda: list(read_documents(split, config, s3)),
        lambda: place.exists("a"),
        lambda: place.read("a"),
        lambda: place.names(),
        lambda: place.publish("a", b""),
    ):
        with pytest.raises(StorageRefusal, match=r"s3://passing/.*NoSuchBucket"):
            act()


def test_a_file_that_is_removed_while_it_is_read_stops_the_run(behind):
    behind.publish("a", BYTES)
    with behind.open("a") as file:
        assert file.read(100) == BYTES[:100]
        behind.remove("a")
        with pytest.raises(StorageFailure, match="went away"):
            file.read(100)


@pytest.mark.parametrize("new", [BYTES[::-1], b"short"])
def test_a_file_that_is_replaced_while_it_is_read_gives_no_mix(new, behind):
    behind.publish("a", BYTES)
    with behind.open("a") as file:
        assert file.read(100) == BYTES[:100]
        behind.publish("a", new)
        with pytest.raises(StorageFailure, match="has changed"):
            file.read(100)


def test_a_file_that_is_replaced_between_two_splits_gives_no_mix(s3, behind):
    behind.publish("a.jsonl", LINES)
    config = InputConfig(path=f"{behind.url}/a.jsonl", split_mb=1)
    first, second = split_input(list_input(config, s3), config)
    assert sum(len(piece.documents) for piece in read_documents(first, config, s3)) > 900
    behind.publish("a.jsonl", LINES.replace(b"x", b"y"))
    with pytest.raises(StorageFailure, match="has changed"):
        list(read_documents(second, config, s3))


def test_a_whole_file_that_is_replaced_during_a_retry_is_one_state_or_the_other(faulty, place, behind):
    behind.publish("a", BYTES)
    faulty.fails(fakes.reset_body(1000), "GET", "/a$")
    faulty.fails(fakes.first_do(lambda: behind.publish("a", BYTES[::-1])), "GET", "/a$", first=2)
    assert place.read("a") == BYTES[::-1]


def test_of_many_who_create_one_name_one_is_told_so(place):
    contents = [f"{i}".encode() * 1000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda data: place.create("a", data), contents))
    assert sum(told) == 1 and place.read("a") == contents[told.index(True)]


def test_creating_what_is_there_changes_nothing(place):
    assert place.create("a", b"one") and not place.create("a", b"two")
    assert place.read("a") == b"one"


@pytest.mark.parametrize("fault", [*WRITE_FAULTS, "another conflict"])
def test_creating_rides_out(fault, faulty, place, behind):
    faulty.fails(WRITE_FAULTS.get(fault, answer(409, "ConditionalRequestConflict")), "PUT", times=2)
    assert place.create("a", BYTES) and behind.read("a") == BYTES and faulty.failed == 2
    assert not place.create("a", b"other") and behind.read("a") == BYTES


def test_who_is_overtaken_while_its_answer_is_lost_is_not_told_that_it_created(faulty, place, behind):
    faulty.fails(fakes.reset_request(10), "PUT")
    faulty.fails(fakes.first_do(lambda: behind.publish("a", b"theirs")), "PUT", first=2)
    assert not place.create("a", BYTES) and behind.read("a") == b"theirs"


def test_an_upload_in_parts_creates_once(faulty, place, behind, large):
    faulty.fails(fakes.lose_answer, "POST", "uploadId=")
    faulty.fails(answer(404, "NoSuchUpload"), "POST", "uploadId=", first=2)
    assert place.create("a", large) and behind.read("a") == large
    assert not place.create("a", large[::-1]) and behind.read("a") == large


@pytest.mark.parametrize(("status", "code"), [(501, "NotImplemented"), (400, "InvalidArgument")])
def test_a_store_without_conditional_puts_is_asked_first(status, code, faulty, place, behind):
    faulty.fails(answer(status, code), "PUT", first=1)
    assert place.create("a", BYTES) and behind.read("a") == BYTES
    faulty.fails(answer(status, code), "PUT", times=1000)
    assert not place.create("a", b"other") and behind.read("a") == BYTES
    with pytest.raises(StorageRefusal, match=f"{place.url}/b"):
        place.create("b", BYTES)


def test_retries_that_the_environment_asks_for_do_not_multiply_with_ours(monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    filesystem, _ = open_filesystem("s3://corpus", StorageConfig(endpoint_url="http://127.0.0.1:9"))
    filesystem.connect()
    assert filesystem._s3.meta.config.retries["total_max_attempts"] == 1
