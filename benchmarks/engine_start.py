"""vLLM on a processor as AsyncLLM has it, with its core in a process apart, and as here, in a thread: its start and its pace.

    OMP_NUM_THREADS=1 python -m benchmarks.engine_start
    OMP_NUM_THREADS=1 python -m benchmarks.engine_start --model FOLDER --rounds 5 --seats 64

Each start is in a fresh process. Seconds of the processor count all processes; where others want the processor too, they say
more than the clock. Without a model, a tiny one of random weights is made: then the start is that of the software alone. Then
both engines stand side by side, and in turns answer the same requests. The last lines are whole runs of `gristmill run
rephrase` on five notes, to their end, with all that Ray starts. A pipeline's engine has half of the cores: OMP_NUM_THREADS.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import psutil

from benchmarks.processes import watch

CORES = {"apart": "in a process apart", "here": "in a thread"}
PASSAGE = "The mill stands by the river, and the river turns its wheel from spring until the first hard frost. " * 3


def now() -> tuple[float, float]:
    """Give the seconds of the clock, and those of the processor in this process and all below it."""
    me = psutil.Process()
    used = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return time.perf_counter(), sum(times.user + times.system for times in used)


class Parts:
    """Seconds of clock and processor since the part before, by name."""

    def __init__(self):
        self.told, self.before = {}, now()

    def end(self, name: str) -> None:
        at = now()
        self.told[name] = [after - before for before, after in zip(self.before, at, strict=True)]
        self.before = at


def built(core: str, model: str, seats: int, parts: Parts):
    """Build an engine in this process."""
    from operators.models.engines.vllm.arguments import settle_environment, with_defaults
    from operators.models.engines.vllm.engine import modules_stay

    settle_environment()
    with nullcontext() if core == "apart" else modules_stay():
        import torch  # noqa: F401

        parts.end("import torch")
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM
        from vllm.v1.executor import Executor

    parts.end("import vLLM")
    arguments = {"model": model, "max_num_seqs": seats, "max_model_len": 512, "kv_cache_memory_bytes": 512 << 20}
    config = AsyncEngineArgs(**with_defaults(arguments, on_cpu=True)).create_engine_config()
    parts.end("settings")
    if core == "apart":
        engine = AsyncLLM(config, Executor.get_class(config), log_stats=False, log_requests=False)
    else:
        from operators.models.engines.vllm.in_process import InProcessLLM

        engine = InProcessLLM(config, Executor.get_class(config))
    parts.end("core: its process, weights, cache")
    return engine


async def answered(engine, requests: int, most: int, name: str) -> int:
    """Have requests answered at the same time, and give the tokens of the answers."""
    from vllm import SamplingParams
    from vllm.inputs.engine import tokens_input
    from vllm.sampling_params import RequestOutputKind

    sampling = SamplingParams(max_tokens=most, ignore_eos=True, output_kind=RequestOutputKind.FINAL_ONLY)

    async def one(number: int) -> int:
        ids = engine.get_tokenizer().encode(f"{name} {number}. {PASSAGE}")
        async for output in engine.generate(tokens_input(ids), sampling, request_id=f"{name} {number}"):
            tokens = len(output.outputs[0].token_ids)
        return tokens

    return sum(await asyncio.gather(*[one(number) for number in range(requests)]))


def start(core: str, model: str, seats: int) -> dict[str, list[float]]:
    """Start an engine in this process, and have it answer."""
    parts = Parts()
    engine = built(core, model, seats, parts)
    asyncio.run(answered(engine, 1, 4, "first"))
    parts.end("first answer")
    return parts.told


async def side_by_side(model: str, seats: int, rounds: int) -> dict[str, list[list[float]]]:
    """Give tokens by second of clock, and milliseconds of processor by token, of each round of two engines that take turns."""
    engines = {core: built(core, model, seats, Parts()) for core in CORES}
    told = {core: [] for core in CORES}
    for number in range(rounds + 1):
        turns = list(engines.items()) if number % 2 else list(engines.items())[::-1]
        for core, engine in turns:
            before = now()
            tokens = await answered(engine, 2 * seats, 48, f"{core} {number}")
            clock, processor = (after - at for at, after in zip(before, now(), strict=True))
            if number:  # the first one warms up
                told[core].append([tokens / clock, 1000 * processor / tokens])
    return told


def fresh(*words: str):
    """Give what a part of this benchmark says in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.engine_start", *words]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])


def compare_starts(model: str, rounds: int, seats: int) -> None:
    """Start engines in turns, and print the medians of their parts."""
    runs = {core: [] for core in CORES}
    for _ in range(rounds):
        for core, told in runs.items():
            told.append(fresh("--part", core, "--model", model, "--seats", str(seats)))
    for core, told in runs.items():
        print(f"core {CORES[core]}: clock, processor (seconds)")
        medians = {name: [statistics.median(run[name][kind] for run in told) for kind in (0, 1)] for name in told[0]}
        totals = [statistics.median(sum(part[kind] for part in run.values()) for run in told) for kind in (0, 1)]
        for name, (clock, processor) in (medians | {"all": totals}).items():
            print(f"  {name:36} {clock:6.1f} {processor:6.1f}")


def compare_paces(model: str, rounds: int, seats: int) -> None:
    told = fresh("--part", "paces", "--model", model, "--seats", str(seats), "--rounds", str(rounds))
    for core, each in told.items():
        pace, processor = (statistics.median(kind) for kind in zip(*each, strict=True))
        print(f"core {CORES[core]}: {pace:,.0f} tokens/s, {processor:.2f} ms of processor for each")
    ratios = sorted(here[0] / apart[0] for apart, here in zip(told["apart"], told["here"], strict=True))
    print(f"thread to process, tokens/s by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


def compare_runs(model: str, rounds: int, folder: Path) -> None:
    """Run the pipeline with vLLM's own way, core and worker in processes apart, and with ours."""
    notes = [json.dumps({"id": str(i), "text": f"Note {i}. The mill by the river grinds rye."}) for i in range(5)]
    (folder / "notes.jsonl").write_text("\n".join(notes) + "\n")
    words = [f"input.path={folder / 'notes.jsonl'}", "styles=[brief]", "max_tokens=8", "clean.preset=null"]
    words += ["chunk.max_tokens=64", f"engine.vllm.model={model}", "engine.vllm.max_num_seqs=8"]
    command = [sys.executable, "-m", "pipelines", "run", "rephrase", *words]
    usages = {"1": [], "0": []}
    for number in range(rounds):
        for apart, told in usages.items():
            environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": apart}
            silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            output = f"output.path={folder}/{apart}-{number}"
            told.append(watch([*command, output], env=environment, **silent))
    for apart, told in usages.items():
        clock, processor = (statistics.median(getattr(use, kind) for use in told) for kind in ("wall_s", "cpu_total_s"))
        print(f"whole run, VLLM_ENABLE_V1_MULTIPROCESSING={apart}: clock {clock:.1f} s, processor {processor:.1f} s")


def part(arguments: argparse.Namespace) -> None:
    if arguments.part == "paces":
        told = asyncio.run(side_by_side(arguments.model, arguments.seats, arguments.rounds))
    else:
        told = start(arguments.part, arguments.model, arguments.seats)
    print(json.dumps(told), flush=True)
    for child in psutil.Process().children():
        child.kill()
    os._exit(0)  # what vLLM leaves behind is not measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seats", type=int, default=16, help="requests that an engine works on at once")
    parser.add_argument("--part", choices=[*CORES, "paces"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if arguments.part:
        part(arguments)
    with tempfile.TemporaryDirectory() as name:
        from tests.tiny_model import make_tiny_model

        model = arguments.model or str(make_tiny_model(Path(name, "model"), context_tokens=1024))
        compare_starts(model, arguments.rounds, arguments.seats)
        compare_paces(model, arguments.rounds, arguments.seats)
        compare_runs(model, arguments.rounds, Path(name))


if __name__ == "__main__":
    main()
