"""Measuring with a language model beside the project's own token scorer, on the same model and the same contexts.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.measuring
    python -m benchmarks.measuring --device cuda --models 360M --rows 4000

The rows are questions and answers of lognormal length, made of the documentation strings of Python's standard library. The
measure (operators/select/measure/likelihood.py) is given their JSON: it parses, frames and tokenises them, sorts by length,
and scores each answer with its question and without it. The token scorer (operators/learn/score) is given the tokens of these
very contexts, packed into rows of 2,048 tokens before the clock starts, with the answers alone as targets; a context that crosses
a row's end is two for it. Models are Llamas with random weights and a vocabulary of 32,000. Tokens per second count what is
read, no padding.
Both sides take turns; the median of the rounds counts. Where other processes want the processor too, its time says more than the
clock.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from transformers.utils import logging

from benchmarks.scoring import MEDIAN_TOKENS, MODELS, SPREAD, VOCABULARY, WINDOW, make_model, timed
from benchmarks.texts import docstrings, train_tokenizer
from operators.examples.base import ExampleConfig
from operators.examples.prompting import Prompting, PromptingConfig
from operators.learn.score import ScoreConfig, Scorer
from operators.select.measure.base import ModelConfig
from operators.select.measure.likelihood import Likelihood, LikelihoodConfig
from operators.select.measure.reading.answers import ReadAnswers
from operators.select.measure.reading.line import lined_up
from operators.text.tokenizer import contents_digest, load_tokenizer
from operators.tokens.pack import Packer
from operators.tokens.rows import PackedRows, Packing

QUESTION_WORDS = 20  # median
WORDS_OF_A_TOKEN = 0.7


def questions(rows: int) -> pa.Table:
    """Cut the documentation strings, one after the other, into questions and answers of lognormal length."""
    words, dice = " ".join(row["text"] for row in docstrings()).split(" "), np.random.default_rng(1)
    medians = QUESTION_WORDS, MEDIAN_TOKENS * WORDS_OF_A_TOKEN
    counts = np.stack([dice.lognormal(np.log(median), SPREAD, rows) for median in medians], axis=1)
    counts = np.clip(counts, 2, WINDOW // 4).astype(int)
    records, at = [], 0
    for pair in counts.tolist():
        texts = []
        for count in pair:
            at = 0 if at + count > len(words) else at
            texts.append(" ".join(words[at : at + count]) or "nothing")
            at += count
        records.append(json.dumps({"instruction": texts[0], "output": texts[1]}))
    ids = [f"row-{number}" for number in range(rows)]
    return pa.table({"id": pa.array(ids, pa.string()), "record": pa.array(records, pa.large_string())})


def packed(rows: pa.Table, prompting: Prompting, packing: Packing) -> tuple[PackedRows, int]:
    """Pack the contexts that the measure reads; give with them how many tokens these are."""
    contexts = ReadAnswers(prompting, ExampleConfig(), None, ending=False, released=False)(rows).contexts
    stretches_C2 = lined_up(contexts).stretches
    tokens = int((stretches_C2[:, 1] - stretches_C2[:, 0]).sum())
    packer = Packer(packing, sum(len(context.ids) for context in contexts) // WINDOW + 2, "rows")
    full = [part for context in contexts for part in packer.add(context.ids, context.targets[:-1])]
    [together] = full or list(packer.finish())
    return together, tokens


def speed(name: str, folder: str, rows: pa.Table, arguments: argparse.Namespace) -> None:
    prompting = PromptingConfig(max_tokens=WINDOW)
    packing = Packing(WINDOW, False, contents_digest(load_tokenizer(folder)), VOCABULARY, 0)
    together, tokens = packed(rows, Prompting(prompting, folder), packing)
    where = {"device": arguments.device, "batch_tokens": arguments.batch_tokens}
    scorer, table = Scorer(ScoreConfig(**where), [folder]), together.table()
    asked = LikelihoodConfig(embeddings=arguments.embeddings)
    measure = Likelihood(asked, ModelConfig(path=folder, **where), prompting, ExampleConfig())
    scorer(table.slice(0, 1)), measure(rows.slice(0, 20))
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        theirs.append(timed(lambda: scorer(table))[1])
        ours.append(timed(lambda: measure(rows))[1])
    rate, scorer_rate = (tokens / statistics.median(wall for wall, _ in side) for side in (ours, theirs))
    processor = statistics.median(there / here for (_, here), (_, there) in zip(ours, theirs, strict=True))
    print(
        f"{name:>5}: {tokens:,} tokens, measure {rate:10,.0f} tokens/s, token scorer {scorer_rate:10,.0f}, ratio "
        f"{rate / scorer_rate:5.2f}, by processor time {processor:5.2f} "
        f"(rounds {', '.join(f'{there / here:.2f}' for (here, _), (there, _) in zip(ours, theirs, strict=True))})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["5M", "30M"])
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-tokens", type=int)
    parser.add_argument("--embeddings", action="store_true")
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        tokenizer = train_tokenizer((row["text"] for row in docstrings()), VOCABULARY)
        rows = questions(arguments.rows)
        print(f"{torch.get_num_threads()} threads, {len(rows):,} rows", flush=True)
        for size in arguments.models:
            speed(size, make_model(root / size, tokenizer, VOCABULARY, MODELS[size]), rows, arguments)


if __name__ == "__main__":
    main()
