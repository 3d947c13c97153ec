"""The pipeline with vLLM inside, beside the same AsyncLLM that is fed everything at once.

    python -m benchmarks.rephrase_overhead

The same prompts, engine settings and random-weight model in both; nine requests of ten write 16 tokens, one writes 320. The
engine's threads are bound to core 0 and everything else of either program to core 1, so that neither is charged for the
other's work. Tokens per second count from the engine's start to its last answer; the programs take turns.
"""

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rephrase_endpoint import WORDS, write_documents
from operators.rewrite.prompts import load_prompt, prompt_names

ENGINE_CORE, OTHER_CORE = "0", "1"
SETTINGS = {"max_model_len": 1024, "max_num_seqs": 64, "enforce_eager": True, "block_size": 32}
LENGTHS = [16] * 9 + [320]
PROMPT = (
    "---\nsummary: length {tokens}\nmax_tokens: {tokens}\ntemperature: 0.0\n---\nRewrite number {number}.\n\n{{text}}\n"
)
SPEED = re.compile(r"engines: ([\d,]+) requests in ([\d,.]+) s, .* ([\d,]+) tokens/s out")


def make_model(folder: Path) -> Path:
    """Make a Llama of about 9 million parameters with random weights; a word of the benchmarks is about a token."""
    import torch
    from transformers import AutoConfig, LlamaForCausalLM

    from tests.tiny_model import make_tiny_model

    text = [*WORDS, *(load_prompt(name).body for name in prompt_names())]
    make_tiny_model(folder, context_tokens=1024, text=text, vocabulary=4096)
    config = AutoConfig.from_pretrained(folder)
    config.hidden_size, config.intermediate_size, config.num_hidden_layers = 320, 960, 6
    config.num_attention_heads = config.num_key_value_heads = 5
    config.head_dim = 64
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def write_styles(folder: Path) -> list[str]:
    """Write one prompt for each length, so that the pipeline's own styles make the skew."""
    paths = []
    for number, tokens in enumerate(LENGTHS):
        paths.append(folder / f"style{number}.md")
        paths[-1].write_text(PROMPT.format(tokens=tokens, number=number))
    return [str(path) for path in paths]


def pipeline(model: Path, documents: Path, styles: list[str], output: Path) -> float:
    """Run the pipeline and give tokens per second."""
    settings = [f"engine.vllm.{name}={value}" for name, value in (SETTINGS | {"model": model}).items()]
    words = [f"input.path={documents}", f"output.path={output}", f"styles=[{','.join(styles)}]"]
    words += ["clean.preset=null", "mix.real=0"]
    command = [sys.executable, "-m", "pipelines", "run", "rephrase", *words, *settings]
    text = bound(command)
    match = SPEED.search(text.replace("\n", " "))
    return float(match[3].replace(",", ""))


def bare(model: Path, documents: Path, styles: list[str]) -> float:
    command = [sys.executable, "-m", "benchmarks.rephrase_overhead", "--bare", str(model), str(documents), *styles]
    return float(bound(command).splitlines()[-1])


def bound(command: list[str]) -> str:
    environment = os.environ | {"VLLM_CPU_OMP_THREADS_BIND": ENGINE_CORE, "VLLM_CPU_KVCACHE_SPACE": "2"}
    run = subprocess.run(
        ["taskset", "-c", OTHER_CORE, *command], env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{run.stdout[-2000:]}\n{run.stderr[-4000:]}")
    return run.stdout


async def bare_engine(model: str, documents: str, styles: list[str]) -> float:
    """Feed everything at once to a bare AsyncLLM and give tokens per second."""
    from operators.models.engines.chat import prompt_tokens
    from operators.models.engines.vllm.arguments import settle_environment, with_defaults
    from operators.rewrite.prompts import load_prompt

    settle_environment()
    arguments = with_defaults({"model": model, **SETTINGS}, on_cpu=True)
    from vllm import AsyncEngineArgs, SamplingParams
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.async_llm import AsyncLLM

    engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
    tokenizer = engine.get_tokenizer()
    tokenizer = await tokenizer if asyncio.iscoroutine(tokenizer) else tokenizer
    texts = [json.loads(line)["text"] for line in Path(documents).read_text().splitlines()]
    prompts = [load_prompt(style) for style in styles]
    requests = [
        (prompt_tokens(tokenizer, prompt.messages(text)), prompt.max_tokens) for text in texts for prompt in prompts
    ]

    async def one(number: int, ids: list[int], max_tokens: int) -> int:
        sampling = SamplingParams(temperature=0.0, max_tokens=max_tokens, output_kind=RequestOutputKind.FINAL_ONLY)
        async for output in engine.generate({"prompt_token_ids": ids}, sampling, request_id=str(number)):
            last = output
        return len(last.outputs[0].token_ids)

    began = time.monotonic()
    tokens = await asyncio.gather(*[one(n, ids, most) for n, (ids, most) in enumerate(requests)])
    seconds = time.monotonic() - began
    engine.shutdown()
    return sum(tokens) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        model, documents, *styles = arguments.bare
        print(asyncio.run(bare_engine(model, documents, styles)))
        return
    random.seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, documents = make_model(folder / "model"), folder / "documents.jsonl"
        styles = write_styles(folder)
        write_documents(documents, arguments.documents)
        ratios = []
        for number in range(arguments.rounds):
            alone = bare(model, documents, styles)
            ours = pipeline(model, documents, styles, folder / f"out{number}")
            ratios.append(ours / alone)
            print(
                f"bare AsyncLLM {alone:,.0f} tokens/s   pipeline {ours:,.0f} tokens/s   ratio {ratios[-1]:.3f}",
                flush=True,
            )
        print(f"{arguments.documents * len(styles):,} requests, median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
