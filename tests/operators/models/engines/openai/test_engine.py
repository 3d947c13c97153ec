import asyncio
import time
from email.utils import formatdate

import pytest

from operators.errors import BadRequest
from operators.models.engines.base import Completion, EngineFailure, Request
from operators.models.engines.openai.endpoints import Endpoint
from operators.models.engines.openai.engine import OpenAIConfig, OpenAIEngine
from operators.models.engines.openai.protocol import pause_asked_for, read_refusal, served_models
from tests.fakes.openai_server import running_server
from tests.fakes.scripted_server import TEXT, chat, error, scripted_server

PASSAGE = "In 1781 a flour merchant paid 40 pounds for two new stones. "
QUICK = {"model": "fake", "concurrency": 4, "backoff_s": 0.01, "max_retries": 3, "timeout_s": 5}


@pytest.fixture(scope="module")
def shared_server():
    with running_server(latency=0.02, retry_after=0) as server:
        yield server


@pytest.fixture
def server(shared_server):
    shared_server.clear()
    return shared_server


def ask(text: str, max_tokens: int = 100) -> Request:
    return Request(text[:20], ({"role": "user", "content": text},), max_tokens, temperature=0.0, top_p=1.0, seed=1)


def complete(url: str | list[str], *texts: str, max_tokens: int = 100, **settings) -> list[Completion | BaseException]:
    """Start an engine, complete all texts at once, stop it. A request that raises gives its exception."""

    async def run() -> list:
        engine = OpenAIEngine(OpenAIConfig(base_url=url, **QUICK | settings))
        await engine.start()
        try:
            return await asyncio.gather(
                *(engine.complete(ask(text, max_tokens)) for text in texts), return_exceptions=True
            )
        finally:
            await engine.stop()

    return asyncio.run(run())


def numbered(count: int) -> list[str]:
    return [f"{number}. {PASSAGE}" for number in range(count)]


def test_answers_come_back_to_their_own_requests_with_counts(server):
    for text, completion in zip(numbered(20), complete(server.url, *numbered(20)), strict=True):
        assert sorted(completion.text.split()) == sorted(text.split())
        assert (completion.finish_reason, completion.error) == ("stop", None)
        assert completion.prompt_tokens > 10 and completion.completion_tokens > 10 and completion.cached_tokens == 0


def test_seats_are_all_taken_while_requests_wait_and_never_more(server):
    complete(server.url, *numbered(200), concurrency=8)
    stats = server.stats()
    assert stats["peak"] == 8 and stats["steady_in_flight"] > 5
    assert stats["requests"] == stats["distinct"] == 200


@pytest.mark.parametrize("fault", ["500 x2", "503 x1", "408 x2", "429 x3", "garbage x2", "half x2", "drop x2"])
def test_a_fault_that_passes_is_retried(server, fault):
    [completion] = complete(server.url, f"<<{fault}>> {PASSAGE}")
    assert completion.error is None and "merchant" in completion.text
    assert server.stats()["requests"] == int(fault[-1]) + 1


@pytest.mark.parametrize(
    ("fault", "error", "requests"),
    [
        ("500", "endpoint_error", 4),
        ("half", "endpoint_error", 4),
        ("drop", "endpoint_error", 4),
        ("429", "endpoint_error", 13),  # a rate limit has four times the patience
        ("garbage", "bad_answer", 4),
        ("null", "no_text", 1),
        ("400", "bad_request", 1),
        ("422", "bad_request", 1),
        ("413", "too_long", 2),  # the second with a short answer behind it
    ],
)
def test_a_fault_that_stays_becomes_the_error_of_its_request_alone(server, fault, error, requests):
    bad, good = complete(server.url, f"<<{fault}>> {PASSAGE}", PASSAGE)
    assert (bad.error, bad.text) == (error, None) and bad.detail
    assert good.error is None
    assert server.stats()["requests"] == requests + 1


def test_an_answer_that_never_comes_is_a_timeout_after_three_attempts(server):
    hung, good = complete(server.url, f"<<hang>> {PASSAGE}", PASSAGE, timeout_s=0.3, max_retries=8)
    assert (hung.error, good.error) == ("timeout", None)
    assert server.stats()["statuses"] == {"200": 1, "abandoned": 3}


def test_a_prompt_beyond_the_context_is_too_long_and_the_context_is_known():
    async def run(engine: OpenAIEngine) -> tuple:
        await engine.start()
        try:
            return engine.context_tokens, await engine.complete(ask(PASSAGE * 50))
        finally:
            await engine.stop()

    with running_server(max_model_len=300) as server:
        context, long = asyncio.run(run(OpenAIEngine(OpenAIConfig(base_url=server.url, **QUICK))))
    assert context == 300
    assert long.error == "too_long" and "maximum context length is 300" in long.detail


def test_retry_after_holds_back_all_requests_to_that_endpoint():
    with running_server(retry_after=1) as server:
        began = time.monotonic()
        completions = complete(server.url, f"<<429 x1>> {PASSAGE}", *numbered(40), concurrency=2)
        assert time.monotonic() - began > 1
        assert not any(completion.error for completion in completions)
        assert server.stats()["early"] <= 1  # what was on its way already


def test_a_shared_rate_limit_loses_no_request():
    with running_server(rate_per_second=20, retry_after=1) as server:
        completions = complete(server.url, *numbered(40), concurrency=16)
        assert not any(completion.error for completion in completions)
        assert server.stats()["statuses"]["429"] > 0


def test_requests_per_minute_are_kept(server):
    began = time.monotonic()
    complete(server.url, *numbered(11), requests_per_minute=1200)
    assert 0.45 < time.monotonic() - began < 3


def test_a_server_that_is_away_for_a_while_costs_no_request(server):
    async def run() -> list[Completion]:
        engine = OpenAIEngine(OpenAIConfig(base_url=server.url, **QUICK | {"max_retries": 8}))
        await engine.start()
        try:
            works = asyncio.gather(*(engine.complete(ask(text)) for text in numbered(100)))
            await asyncio.to_thread(server.refuse, 0.5)
            return await works
        finally:
            await engine.stop()

    assert not any(completion.error for completion in asyncio.run(run()))


def test_a_server_that_goes_for_good_is_no_requests_fault():
    async def run() -> list:
        with running_server(latency=0.05) as server:
            engine = OpenAIEngine(OpenAIConfig(base_url=server.url, **QUICK))
            await engine.start()
        try:
            return await asyncio.gather(*(engine.complete(ask(text)) for text in numbered(9)), return_exceptions=True)
        finally:
            await engine.stop()

    for failure in asyncio.run(run()):
        assert isinstance(failure, EngineFailure) and "nothing answers any more at http://127.0.0.1" in str(failure)


def test_a_server_that_fails_everybody_is_blamed_after_a_while(server):
    results = complete(server.url, *(f"<<500>> {text}" for text in numbered(60)), max_retries=1)
    lost = [result for result in results if isinstance(result, Completion)]
    assert len(lost) == 19 and {completion.error for completion in lost} == {"endpoint_error"}
    assert all(isinstance(result, EngineFailure) for result in results if result not in lost)
    assert server.stats()["requests"] < 120  # the rest was spared its retries


def test_many_bad_requests_among_good_ones_blame_no_server(server):
    texts = [f"<<500>> {text}" if index % 2 else text for index, text in enumerate(numbered(100))]
    results = complete(server.url, *texts, max_retries=1)
    assert [completion.error for completion in results] == [None, "endpoint_error"] * 50


@pytest.mark.parametrize(("reason", "error"), [("abort", "unfinished"), ("content_filter", "filtered")])
def test_half_an_answer_is_asked_for_again_and_never_taken(reason, error):
    with scripted_server(lambda asked: chat(TEXT[:50], reason) if asked.tries < 3 else chat()) as server:
        assert complete(server.url, PASSAGE)[0].text == TEXT
        assert len(server.asked) == 3
    with scripted_server(lambda asked: chat(TEXT[:50], reason)) as server:
        lost = complete(server.url, *numbered(30), max_retries=8)
        assert {(each.text, each.error) for each in lost} == {(None, error)} and reason in lost[0].detail
        assert len(server.asked) == 90  # three times each: every answer is paid for
        complete(server.url, *numbered(30), max_retries=1)
        assert len(server.asked) == 150


def test_an_error_under_a_good_status_is_met_as_under_its_own(server):
    passing, refused = error("Provider returned error", 429), error("unknown field min_p", 400)
    with scripted_server(lambda asked: passing if asked.tries < 3 else chat()) as server:
        assert complete(server.url, PASSAGE)[0].text == TEXT
    with scripted_server(lambda asked: refused) as server:
        [completion] = complete(server.url, PASSAGE)
        assert (completion.error, completion.detail, len(server.asked)) == ("bad_request", "unknown field min_p 400", 1)
    with scripted_server(lambda asked: error("no model fake", 404)) as server:
        assert "no model fake" in str(complete(server.url, PASSAGE)[0])


@pytest.mark.parametrize("extra", [{}, {"max_tokens": None, "max_completion_tokens": 400}])
def test_a_cap_that_leaves_no_room_is_told_from_a_prompt_that_is_too_long(extra):
    def answer(asked):
        cap = asked.body.get("max_tokens") or asked.body["max_completion_tokens"]
        if len(asked.prompt) // 4 + cap > 300:
            return 400, {}, error("This model's maximum context length is 300 tokens.")
        return chat()

    with scripted_server(answer) as server:
        fits, long = complete(server.url, PASSAGE, PASSAGE * 30, extra=extra, max_tokens=400)
    assert (fits.error, long.error) == ("no_room", "too_long")
    name = "max_completion_tokens" if extra else "max_tokens"
    assert f"no room for {name}=400 beyond the prompt: This model's maximum context length is 300" in fits.detail


@pytest.mark.parametrize(
    ("again", "word"), [("the prompt is too long", "too_long"), ("unknown field min_p", "bad_request")]
)
def test_a_prompt_is_too_long_where_its_length_is_refused_with_a_short_answer_too(again, word):
    with scripted_server(lambda asked: (400, {}, error([again, "the prompt is too long"][asked.tries == 1]))) as server:
        [completion] = complete(server.url, PASSAGE)
        assert (completion.error, completion.detail, len(server.asked)) == (word, "the prompt is too long", 2)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_new_tokens", "n_predict"])
def test_an_answer_as_long_as_its_cap_is_cut_whatever_the_cap_is_called(name):
    with scripted_server(lambda asked: chat(reason=None)) as server:  # of 40 tokens
        for cap, end in ((40, "length"), (41, "stop")):
            [completion] = complete(server.url, PASSAGE, extra={"max_tokens": None, name: cap})
            assert completion.finish_reason == end


def test_a_setting_whose_name_speaks_of_length_is_no_length():
    with scripted_server(lambda asked: (400, {}, error("Unrecognized argument: length_penalty"))) as server:
        [completion] = complete(server.url, PASSAGE, extra={"length_penalty": 2})
        assert (completion.error, len(server.asked)) == ("bad_request", 1)


@pytest.mark.parametrize("fault", [(429, {}, error("slow down")), (503, {}, error("away")), error("slow down", 429)])
def test_a_fault_that_passes_is_no_proof_that_a_prompt_is_too_long(fault):
    def answer(asked):
        if asked.body["max_tokens"] > 100:
            return 400, {}, error("This model's maximum context length is 512 tokens.")
        return fault if asked.tries == 2 else chat()

    with scripted_server(answer) as server:
        [completion] = complete(server.url, PASSAGE, max_tokens=400)
        assert (completion.error, len(server.asked)) == ("no_room", 4)


def test_what_is_sent_to_learn_why_a_length_was_refused_waits_for_its_turn():
    with scripted_server(lambda asked: (400, {}, error("the prompt is too long"))) as server:
        began = time.monotonic()
        completions = complete(server.url, *numbered(2), requests_per_minute=200)
        assert ([each.error for each in completions], len(server.asked)) == (["too_long"] * 2, 4)
    assert time.monotonic() - began > 0.5


def test_requests_spread_over_several_servers_and_outlive_one_of_them():
    with running_server(latency=0.02) as first, running_server(latency=0.02) as second:
        urls = [first.url, second.url]
        assert not any(completion.error for completion in complete(urls, *numbered(40)))
        assert abs(first.stats()["requests"] - second.stats()["requests"]) < 10
        second.stop()
        assert not any(completion.error for completion in complete(urls, *numbered(40)))


def test_where_nothing_answers_start_says_so_without_the_password():
    began = time.monotonic()
    with pytest.raises(EngineFailure, match=r"nothing answers at http://127\.0\.0\.1:9/v1") as failure:
        complete("http://me:hunter2@127.0.0.1:9/v1")
    assert "hunter2" not in repr(failure.value) and time.monotonic() - began < 3


def test_a_server_without_a_list_of_models_will_do():
    with running_server(list_models=0) as server:
        assert complete(server.url, PASSAGE)[0].error is None


def test_a_refused_key_is_named_by_its_variable_and_never_shown(monkeypatch):
    monkeypatch.setenv("MILL_KEY", "sk-wrong")
    with running_server(api_key="sk-right") as server:
        for variable, state in (("MILL_KEY", "its value is refused"), ("OTHER_KEY", "it is not set")):
            [failure] = complete(server.url, PASSAGE, api_key_env=variable)
            assert isinstance(failure, EngineFailure) and f"{variable}: {state}" in str(failure)
            assert "sk-wrong" not in repr(failure)
        monkeypatch.setenv("MILL_KEY", "sk-right\n")
        assert complete(server.url, PASSAGE, api_key_env="MILL_KEY")[0].error is None


def test_an_unknown_model_is_answered_with_those_there_are(server):
    [failure] = complete(server.url, PASSAGE, model="other")
    assert isinstance(failure, EngineFailure) and "engine.openai.model=other. It serves: fake." in str(failure)


def test_the_completions_api_is_spoken_too(server):
    [completion] = complete(server.url, PASSAGE, api="completions")
    assert sorted(completion.text.split()) == sorted(PASSAGE.split())


def test_extra_fields_go_into_the_body_and_null_leaves_one_out():
    engine = OpenAIEngine(OpenAIConfig(base_url="http://a/v1", model="m", extra={"seed": None, "min_p": 0.1}))
    body = engine._body(ask(PASSAGE))
    assert body["min_p"] == 0.1 and "seed" not in body and "stop" not in body


def test_a_cancelled_request_leaves_nothing_open(server):
    async def run() -> None:
        engine = OpenAIEngine(OpenAIConfig(base_url=server.url, **QUICK))
        await engine.start()
        tasks = [asyncio.create_task(engine.complete(ask(f"<<hang>> {number}"))) for number in range(9)]
        while server_stats()["in_flight"] < 4:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (await engine.complete(ask(PASSAGE))).error is None
        await engine.stop()
        assert len(asyncio.all_tasks()) == 1

    def server_stats() -> dict:
        return server.stats()

    asyncio.run(run())
    assert server.stats()["in_flight"] == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": ""}, "base_url is empty"),
        ({"base_url": "localhost:8000/v1"}, "must look like http://localhost:8000/v1"),
        ({"base_url": "http://h:port/v1"}, "must look like"),
        ({"model": ""}, "model is empty"),
        ({"api": "responses"}, "it can be chat or completions"),
        ({"concurrency": 0}, "concurrency is 0; it must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_the_start(settings, message):
    with pytest.raises(BadRequest, match=message):
        OpenAIEngine(OpenAIConfig(**{"base_url": "http://h/v1", "model": "m"} | settings))


def test_errors_name_the_block_in_which_the_settings_stand(server):
    for settings, said in (
        ({"model": ""}, r"reference\.openai\.model"),
        ({"base_url": "host"}, r"reference\.openai\.base_url"),
    ):
        with pytest.raises(BadRequest, match=said):
            OpenAIEngine(OpenAIConfig(**{"base_url": "http://h/v1", "model": "m"} | settings), "reference.openai")
    for settings in ({"base_url": "http://127.0.0.1:9/v1"}, {"base_url": server.url, "model": "other"}):
        engine = OpenAIEngine(OpenAIConfig(**QUICK | settings), "reference.openai")

        async def run(engine=engine) -> None:
            await engine.start()
            try:
                await engine.complete(ask(PASSAGE))
            finally:
                await engine.stop()

        with pytest.raises(EngineFailure, match=r"reference\.openai\.") as failure:
            asyncio.run(run())
        assert "engine.openai" not in str(failure.value)


def test_no_secret_is_in_what_config_and_endpoint_show():
    url = "https://me:hunter2@host/v1/?key=sesame"
    endpoint = Endpoint.parse(url, "sk-key")
    shown = repr(OpenAIConfig(base_url=[url], model="m")) + repr(endpoint) + endpoint.redacted(f"bad {url} sk-key")
    assert not any(secret in shown for secret in ("hunter2", "sesame", "sk-key"))
    assert endpoint.url("/models") == "https://host/v1/models?key=sesame"
    assert endpoint.headers["Authorization"].startswith("Basic ")


def test_retry_after_is_read_as_seconds_and_as_a_date():
    assert pause_asked_for({"Retry-After": "2.5"}) == 2.5
    dates = {"Date": formatdate(1000, usegmt=True), "Retry-After": formatdate(1030, usegmt=True)}
    assert pause_asked_for(dates) == 30  # by the server's clock, however wrong
    assert 25 < pause_asked_for({"Retry-After": formatdate(time.time() + 30, usegmt=True)}) <= 30
    assert pause_asked_for({"Retry-After": formatdate(1, usegmt=True)}) == 0
    assert pause_asked_for({"Retry-After": "soon"}) == pause_asked_for({}) == 0
    assert pause_asked_for({"Retry-After": f"Wed, {'9' * 20} Oct 2015 07:28:00 GMT"}) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"error": {"message": "no", "code": "c"}}', "no c"),
        (b'{"object": "error", "message": "no"}', "no"),
        (b'{"detail": [{"msg": "no"}]}', "[{'msg': 'no'}]"),
        (b'{"error": "no"}', "no"),
        (b"<html>no", "<html>no"),
    ],
)
def test_the_message_of_a_refusal_is_found_wherever_it_is(content, message):
    assert read_refusal(content) == message


def test_the_list_of_models_may_be_anything():
    assert served_models(b'{"data": [{"id": "a", "max_model_len": 9}, {"id": "b"}]}') == {"a": 9, "b": None}
    assert served_models(b"<html>") == served_models(b'{"data": [1]}') == {}
