"""transformers' generate with a model of random weights, on the CPU."""

import asyncio

import pytest

from operators.errors import BadRequest
from operators.models.engines.base import EngineFailure, Request
from operators.models.engines.transformers.engine import TransformersConfig, TransformersEngine

pytestmark = pytest.mark.model
PASSAGE = "The mill stands by the river, and the river turns its wheel from spring until the first hard frost. "


def ask(key, content=PASSAGE, **settings) -> Request:
    messages = ({"role": "system", "content": "Rewrite the passage."}, {"role": "user", "content": content})
    return Request(str(key), messages, **({"max_tokens": 16, "temperature": 0.8, "top_p": 0.9} | settings))


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def engine(runner, tiny_model):
    engine = TransformersEngine(TransformersConfig(model=tiny_model, batch_size=4))
    runner.run(engine.start())
    yield engine
    runner.run(engine.stop())


@pytest.fixture
def complete(runner, engine):
    async def gather(requests):
        return await asyncio.gather(*[engine.complete(request) for request in requests], return_exceptions=True)

    return lambda *requests: runner.run(gather(requests))


def test_each_row_of_a_batch_ends_at_its_own_max_tokens(complete):
    completions = complete(*[ask(n, PASSAGE * n, max_tokens=n, seed=n) for n in (1, 2, 3, 5, 8)])
    assert [completion.completion_tokens for completion in completions] == [1, 2, 3, 5, 8]
    assert {completion.finish_reason for completion in completions} == {"length"}
    prompts = [completion.prompt_tokens for completion in completions]
    assert prompts == sorted(prompts)


def test_a_row_draws_the_same_text_with_its_seed_whatever_its_batch(complete):
    (alone,) = complete(ask("alone", seed=7))
    first, _, again, other = complete(
        ask("a", seed=7), ask("b", PASSAGE * 3, seed=1), ask("c", seed=7), ask("d", seed=8)
    )
    assert alone.text == first.text == again.text
    assert other.text != alone.text


def test_a_greedy_row_stands_beside_a_sampled_one(complete):
    (greedy,) = complete(ask("greedy", temperature=0))
    again, sampled = complete(ask("again", temperature=0), ask("sampled", seed=3))
    assert again.text == greedy.text != sampled.text


def test_a_stop_string_ends_one_row_before_itself(complete):
    (whole,) = complete(ask("whole", temperature=0, max_tokens=30))
    stop = whole.text[6:9]
    stopped, free = complete(
        ask("stopped", temperature=0, max_tokens=30, stop=("never there", stop)),
        ask("free", temperature=0, max_tokens=30),
    )
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert (stopped.finish_reason, free.finish_reason) == ("stop", whole.finish_reason)
    assert stopped.completion_tokens < 30
    assert free.text == whole.text


def test_the_end_token_ends_a_row(monkeypatch, complete, engine):
    (whole,) = complete(ask("whole", temperature=0))
    ids = engine._tokenizer.encode(whole.text, add_special_tokens=False)
    monkeypatch.setattr(engine, "_ends", [ids[2]])
    (completion,) = complete(ask("ended", temperature=0))
    assert completion.finish_reason == "stop"
    assert completion.completion_tokens == ids.index(ids[2]) + 1


def test_a_prompt_over_the_context_is_refused_and_harms_no_other(complete):
    completions = complete(ask("before"), ask("long", PASSAGE * 100), ask("after"))
    assert [completion.error for completion in completions] == [None, "too_long", None]


def test_max_tokens_is_cut_to_what_the_context_leaves(complete):
    (completion,) = complete(ask("greedy", PASSAGE * 5, max_tokens=100_000, seed=1))
    assert completion.error is None
    assert completion.prompt_tokens + completion.completion_tokens <= 512


def test_a_request_out_of_range_gets_its_reason(complete):
    bad, good = complete(ask("bad", temperature=-1.0), ask("good"))
    assert bad.error == "bad_request" and "temperature" in bad.detail
    assert good.error is None


def test_a_batch_that_runs_out_of_memory_is_halved_for_good(monkeypatch, complete, engine):
    generate = engine._generate

    def cramped(batch):
        if len(batch) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return generate(batch)

    monkeypatch.setattr(engine, "_generate", cramped)
    monkeypatch.setattr(engine, "_batch_size", 4)
    completions = complete(*[ask(n) for n in range(8)])
    assert [completion.error for completion in completions] == [None] * 8
    assert engine._batch_size == 2


def test_one_request_that_breaks_generate_harms_no_other(monkeypatch, complete, engine):
    generate = engine._generate

    def picky(batch):
        if any(each.request.key == "2" for each in batch):
            raise ValueError("this one I cannot do")
        return generate(batch)

    monkeypatch.setattr(engine, "_generate", picky)
    completions = complete(*[ask(n) for n in range(4)])
    assert [completion.error for completion in completions] == [None, None, "bad_request", None]
    assert "this one I cannot do" in completions[2].detail


def test_an_unforeseen_failure_reaches_every_caller(runner, tiny_model, monkeypatch):
    engine = TransformersEngine(TransformersConfig(model=tiny_model, batch_size=2))

    def broken(batch):
        raise KeyError("a bug")

    async def check():
        await engine.start()
        monkeypatch.setattr(engine, "_generate", broken)
        answers = await asyncio.gather(*[engine.complete(ask(n)) for n in range(5)], return_exceptions=True)
        await engine.stop()
        return answers

    answers = runner.run(check())
    assert [type(answer) for answer in answers] == [EngineFailure] * 5


def test_a_chat_template_that_refuses_a_request_is_told_of_with_it(runner, tiny_model):
    engine = TransformersEngine(TransformersConfig(model=tiny_model, batch_size=2))

    async def check():
        await engine.start()
        engine._tokenizer.chat_template = "{{ raise_exception('no such role') }}"
        answers = await asyncio.gather(*[engine.complete(ask(n)) for n in range(25)])
        await engine.stop()
        return answers

    answers = runner.run(check())
    assert {answer.error for answer in answers} == {"bad_request"} and "no such role" in answers[0].detail


@pytest.mark.parametrize(("early", "tries", "error"), [(2, 3, None), (9, 3, "unfinished")])
def test_an_answer_that_ended_before_its_end_and_its_cap_is_asked_for_again(runner, tiny_model, early, tries, error):
    engine, made = TransformersEngine(TransformersConfig(model=tiny_model, batch_size=2)), []

    async def check():
        await engine.start()
        engine._ends, generate = [], engine._network.generate

        def cut(**words):
            made.append(generate(**words, min_new_tokens=16))  # whatever the tiny model would rather end with
            return made[-1][:, : -5 if len(made) <= early else None]  # five tokens early

        engine._network.generate = cut
        answer = await engine.complete(ask("early", max_tokens=16))
        await engine.stop()
        return answer

    answer = runner.run(check())
    assert (len(made), answer.error, answer.completion_tokens) == (tries, error, 11 if error else 16)
    assert (answer.text is None) == bool(error)


def test_a_model_that_is_not_there_fails_with_advice(runner, tmp_path):
    engine = TransformersEngine(TransformersConfig(model=str(tmp_path / "nothing")))
    with pytest.raises(EngineFailure, match=r"nothing.*engine\.openai"):
        runner.run(engine.start())


@pytest.mark.parametrize("settings", [{"model": ""}, {"model": "x", "batch_size": 0}])
def test_settings_that_cannot_work_are_a_bad_request(settings):
    with pytest.raises(BadRequest, match=r"engine\.transformers"):
        TransformersEngine(TransformersConfig(**settings))
