"""Real vLLM on the CPU with a model of random weights. Each start costs some 20 seconds: they share one engine."""

import asyncio
import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from operators.errors import BadRequest
from operators.models.engines.base import EngineFailure, Request
from operators.models.engines.vllm.arguments import MULTIPROCESSING, runs_in_process, with_defaults
from operators.models.engines.vllm.engine import VllmEngine

pytestmark = pytest.mark.model
PASSAGE = "The mill stands by the river, and the river turns its wheel from spring until the first hard frost. "


def ask(key, content=PASSAGE, **settings) -> Request:
    messages = ({"role": "system", "content": "Rewrite the passage."}, {"role": "user", "content": content})
    return Request(str(key), messages, **({"max_tokens": 16, "temperature": 0.8, "top_p": 0.9} | settings))


def complete_all(engine, requests):
    async def gather():
        return await asyncio.gather(*[engine.complete(request) for request in requests])

    return gather()


def engine_cores(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children(recursive=True) if "EngineCore" in child.name()]


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def engine(runner, vllm_arguments):
    engine = VllmEngine(vllm_arguments)
    runner.run(engine.start())
    yield engine
    runner.run(engine.stop())
    assert engine_cores(psutil.Process()) == []


def test_more_requests_than_seats_are_all_answered(runner, engine):
    assert engine.seats == 9
    completions = runner.run(complete_all(engine, [ask(n, f"{n}. {PASSAGE}") for n in range(40)]))
    assert [completion.error for completion in completions] == [None] * 40
    assert all(0 < completion.completion_tokens <= 16 for completion in completions)


def test_a_shared_prefix_is_served_by_the_cache(runner, engine):
    runner.run(engine.complete(ask("first", PASSAGE * 3 + "One.")))
    completion = runner.run(engine.complete(ask("second", PASSAGE * 3 + "Two.")))
    assert 0 < completion.cached_tokens < completion.prompt_tokens


def test_the_same_seed_draws_the_same_text(runner, engine):
    requests = [ask("a", seed=7), ask("b", seed=7), ask("c", seed=8)]
    first, again, other = runner.run(complete_all(engine, requests))
    assert first.text == again.text != other.text


def test_seeds_are_safe_with_prompts_that_fill_many_steps(runner, engine):
    requests = [ask(n, f"{n}. {PASSAGE * 8}", seed=n) for n in range(24)]
    completions = runner.run(complete_all(engine, requests))
    assert [completion.error for completion in completions] == [None] * 24
    assert engine._generation == 0


def test_a_prompt_over_the_context_is_refused_and_harms_no_other(runner, engine):
    completions = runner.run(complete_all(engine, [ask("before"), ask("long", PASSAGE * 100), ask("after")]))
    assert [completion.error for completion in completions] == [None, "too_long", None]
    assert "512" in completions[1].detail


def test_max_tokens_is_cut_to_what_the_context_leaves(runner, engine):
    completion = runner.run(engine.complete(ask("greedy", max_tokens=100_000, seed=1)))
    assert completion.error is None
    assert completion.prompt_tokens + completion.completion_tokens <= 512


def test_a_stop_string_ends_the_text_before_itself(runner, engine):
    text = runner.run(engine.complete(ask("whole", temperature=0))).text
    stop = text[4:7]
    completion = runner.run(engine.complete(ask("stopped", temperature=0, stop=(stop,))))
    assert completion.finish_reason == "stop"
    assert completion.text == text[: text.index(stop)]


def test_a_request_that_vllm_refuses_gets_its_reason(runner, engine):
    bad, good = runner.run(complete_all(engine, [ask("bad", top_p=3.0), ask("good")]))
    assert bad.error == "bad_request" and "top_p" in bad.detail
    assert good.error is None


def test_an_engine_on_the_processor_starts_no_process_and_one_whose_step_fails_is_replaced(runner, engine):
    assert engine_cores(psutil.Process()) == []

    async def break_in_the_middle():
        requests = [ask(n, f"{n}. {PASSAGE}", max_tokens=100) for n in range(20)]
        tasks = [asyncio.create_task(engine.complete(request)) for request in requests]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        engine._llm._engine.step = None  # to be called from now on is an error
        return await asyncio.gather(*tasks)

    before = engine._generation
    completions = runner.run(break_in_the_middle())
    assert [completion.error for completion in completions] == [None] * 20
    assert engine._generation == before + 1


@pytest.mark.long
def test_a_killed_engine_is_replaced_and_every_request_answered(runner, vllm_arguments, monkeypatch):
    monkeypatch.setenv(MULTIPROCESSING, "1")
    engine = VllmEngine(vllm_arguments)
    runner.run(engine.start())

    async def kill_in_the_middle():
        requests = [ask(n, f"{n}. {PASSAGE}", max_tokens=300) for n in range(30)]
        tasks = [asyncio.create_task(engine.complete(request)) for request in requests]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        (core,) = engine_cores(psutil.Process())
        core.kill()
        return await asyncio.gather(*tasks)

    completions = runner.run(kill_in_the_middle())
    assert [completion.error for completion in completions] == [None] * 30
    assert engine._generation == 1
    assert len(engine_cores(psutil.Process())) == 1
    runner.run(engine.stop())
    assert engine_cores(psutil.Process()) == []


def test_a_chat_template_that_refuses_a_request_is_told_of_with_it(runner, vllm_arguments, engine):
    from transformers import AutoTokenizer

    twin = VllmEngine(vllm_arguments)
    vars(twin).update(vars(engine), _tokenizer=AutoTokenizer.from_pretrained(vllm_arguments["model"]))
    twin._tokenizer.chat_template = "{{ raise_exception('no such role') }}"
    completion = runner.run(twin.complete(ask("refused")))
    assert completion.error == "bad_request" and "no such role" in completion.detail
    assert runner.run(engine.complete(ask("good"))).error is None


class BreakingLLM:
    """Stands where AsyncLLM stands: ends its answers for some reasons, one after the other."""

    def __init__(self, *reasons: str):
        self.reasons = iter(reasons)

    async def generate(self, prompt, sampling, request_id):
        from vllm.outputs import CompletionOutput, RequestOutput

        answer = CompletionOutput(0, "fine", [5, 6], None, None, finish_reason=next(self.reasons))
        yield RequestOutput(request_id, None, prompt["prompt_token_ids"], None, [answer], True)


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (("abort", "error", "stop"), ("fine", "stop", None)),
        (("length",), ("fine", "length", None)),
        (("abort", "repetition", "abort"), (None, None, "unfinished")),
    ],
)
def test_an_answer_that_ended_in_a_failure_is_asked_for_again_a_few_times(runner, engine, reasons, expected):
    twin = VllmEngine(engine.arguments)
    vars(twin).update(vars(engine), _llm=BreakingLLM(*reasons))
    completion = runner.run(twin.complete(ask("broken")))
    assert (completion.text, completion.finish_reason, completion.error) == expected


class DyingLLM:
    """Stands where AsyncLLM stands: dies of every request whose prompt ends with the poisonous token."""

    def __init__(self, poison: int):
        self.poison, self.dead, self.running = poison, asyncio.Event(), set()

    async def generate(self, prompt, sampling, request_id):
        from vllm.outputs import CompletionOutput, RequestOutput
        from vllm.v1.engine.exceptions import EngineDeadError

        ids = prompt["prompt_token_ids"]
        if self.poison in ids:
            self.dead.set()
        await asyncio.sleep(0)  # the others come in
        if self.dead.is_set():
            raise EngineDeadError()
        answer = CompletionOutput(0, "fine", [5, 6], None, None, finish_reason="stop")
        yield RequestOutput(request_id, None, ids, None, [answer], True)


def mortal(monkeypatch, engine, poison_of) -> VllmEngine:
    """A started engine that lives on DyingLLMs: a copy of a real one in which only the core is another."""
    twin = VllmEngine(engine.arguments)
    vars(twin).update(vars(engine))
    twin._replacing, twin._alone, twin._free_seats = asyncio.Lock(), asyncio.Lock(), asyncio.Semaphore(engine.seats)
    twin._generation = twin._deaths_in_a_row = 0
    twin._llm = DyingLLM(poison_of)

    async def reopen():
        twin._llm = DyingLLM(poison_of)

    async def close():
        twin._llm = None

    monkeypatch.setattr(twin, "_open", reopen)
    monkeypatch.setattr(twin, "_close", close)
    return twin


def test_a_request_that_kills_the_engine_is_given_up_and_the_others_answered(monkeypatch, runner, engine):
    (poison,) = engine._tokenizer.encode("Z")
    twin = mortal(monkeypatch, engine, poison)
    requests = [ask(n, "Z" if n == 3 else PASSAGE) for n in range(8)]
    completions = runner.run(complete_all(twin, requests))
    assert [completion.error for completion in completions] == [None] * 3 + ["engine_died"] + [None] * 4
    assert twin._generation == 3


def test_an_engine_that_only_dies_fails_with_advice(monkeypatch, runner, engine):
    (poison,) = engine._tokenizer.encode("Z")
    twin = mortal(monkeypatch, engine, poison)
    with pytest.raises(EngineFailure, match=r"without completing one request.*engine\.openai"):
        runner.run(complete_all(twin, [ask(n, "Z") for n in range(20)]))


def test_arguments_that_vllm_refuses_are_a_bad_request(runner, vllm_arguments):
    engine = VllmEngine(vllm_arguments | {"max_model_len": 100_000})
    with pytest.raises(BadRequest, match=r"max_model_len"):
        runner.run(engine.start())


@pytest.mark.parametrize(
    ("environment", "arguments", "nodes", "expected"),
    [
        ({}, {}, 1, True),
        ({MULTIPROCESSING: "1"}, {}, 1, False),
        ({MULTIPROCESSING: "0"}, {}, 2, True),
        ({"VLLM_CPU_OMP_THREADS_BIND": "0-1"}, {}, 1, False),
        ({}, {"tensor_parallel_size": 2}, 1, False),
        ({}, {"distributed_executor_backend": "mp"}, 1, False),
        ({}, {}, 2, False),
    ],
)
def test_the_core_has_a_process_apart_where_the_user_or_the_machine_asks_for_one(
    monkeypatch, tmp_path, environment, arguments, nodes, expected
):
    for name in (MULTIPROCESSING, "VLLM_CPU_OMP_THREADS_BIND"):
        monkeypatch.setenv(name, "")  # so that what the call sets is taken back
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for node in range(nodes):
        (tmp_path / f"node{node}").mkdir()
    monkeypatch.setattr("operators.models.engines.vllm.arguments.NUMA_NODES", tmp_path)
    with_defaults(arguments, on_cpu=True)
    assert runs_in_process(arguments) is expected


def test_a_parallel_size_that_is_null_is_left_to_vllm():
    sizes = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
    given = with_defaults({"model": "m", "tokenizer": None} | dict.fromkeys(sizes), on_cpu=False)
    assert given["tokenizer"] is None and not set(sizes) & set(given)
    assert "distributed_executor_backend" not in given


def test_an_engine_that_is_not_started_says_so(runner, vllm_engine):
    with pytest.raises(EngineFailure, match="not started"):
        runner.run(vllm_engine.complete(ask("early")))


START = """
import asyncio, json, sys
from operators.models.engines.vllm.engine import VllmEngine
asyncio.run(VllmEngine(json.loads(sys.argv[1])).start())
"""


@pytest.mark.long
def test_no_child_outlives_a_parent_that_was_killed(vllm_arguments):
    command = [sys.executable, "-c", START, json.dumps(vllm_arguments)]
    environment = os.environ | {MULTIPROCESSING: "1"}
    parent = psutil.Process(subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment).pid)
    deadline = time.monotonic() + 60
    while not (cores := engine_cores(parent)):
        assert time.monotonic() < deadline and parent.is_running(), "the engine's core never came up"
        time.sleep(0.05)  # another process's child: there is nothing to wait on
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(cores, timeout=5)
    assert alive == []


LOOKS_AROUND = """
import gc, os, sys
print(os.environ.get("OMP_WAIT_POLICY"), "torch" in sys.modules, gc.isenabled())
raise ImportError("this is not vLLM")
"""


def test_vllm_and_torch_are_loaded_when_threads_are_told_not_to_spin_and_nobody_looks_for_garbage(tmp_path):
    (tmp_path / "vllm" / "engine").mkdir(parents=True)
    (tmp_path / "vllm" / "__init__.py").write_text(LOOKS_AROUND)
    (tmp_path / "vllm" / "engine" / "arg_utils.py").write_text("class EngineArgs:\n    model: str\n")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    command = [sys.executable, "-c", START, json.dumps({"model": "m"})]
    run = subprocess.run(
        command, env=environment | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60
    )
    assert run.stdout == "PASSIVE False False\n" and "this is not vLLM" in run.stderr
