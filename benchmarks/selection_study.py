"""A small study of selectors: which 400 of 5,000 questions teach a tiny student to classify questions, and do they beat random?

    python -m benchmarks.selection_study --data FOLDER   # with TREC.train and TREC.test

TREC-6 (Li and Roth, 2002) as instruction rows: the question is the instruction, the name of one of six classes the answer.
Of the 5,452 training questions some are held out at random: the target set of the selectors that have one, and what the scorer
has seen. All others are the pool. The 500 test questions are what students are evaluated on, by a choice among the six names.

    base     a small Llama with a tokenizer of its own, trained on the questions of the pool without their classes
    scorer   base, fine-tuned on held-out rows: it measures for cross_entropy, ifd, less, ... (IFD's pre-experienced model)
    compare  `gristmill run compare`: each selector chooses, a student (base again) learns each choice, random at several seeds

All models, features and students stand under --work: the same command again goes on where it was stopped.
"""

import argparse
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.texts import train_tokenizer
from cluster.session import ClusterConfig, session
from operators.storage.place import Place
from pipelines.config import compose
from pipelines.registry import PIPELINES
from pipelines.run.execute import run_pipeline

CLASSES = {
    "ABBR": "abbreviation",
    "DESC": "description",
    "ENTY": "entity",
    "HUM": "person",
    "LOC": "place",
    "NUM": "number",
}
PLACEBO = "random:seed=100"  # judged as if it were a selector
SELECTORS = [
    *("length:of=prompt", "cross_entropy", "perplexity", "ifd", "selectit", "zip", "k_center", "facility_location"),
    *("clustered:by=nearest", "clustered:by=cross_entropy", "dsir", "rds", "less", PLACEBO),
]
TEMPLATE, WINDOW = "human", 256
VOCABULARY = 4096
MODEL = ["model.layers=3", "model.heads=4", "model.width=128"]


def questions(path: Path) -> Iterator[dict]:
    """Read a file of TREC-6 as instruction rows."""
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines()):
        label, question = line.split(" ", 1)
        yield {
            "id": f"{path.name}-{number}",
            "instruction": question.strip(),
            "output": CLASSES[label.partition(":")[0]],
        }


def prepare(data: Path, work: Path, held_out: int) -> None:
    """Write the pool, the target, what the scorer has seen, the test, the pool's questions alone, and the tokenizer."""
    rows, test = list(questions(data / "TREC.train")), list(questions(data / "TREC.test"))
    random.Random(0).shuffle(rows)
    parts = {"target": rows[:held_out], "seen": rows[held_out : 2 * held_out], "pool": rows[2 * held_out :]}
    for name, part in (parts | {"test": test}).items():
        write(work / f"{name}.jsonl", part)
    write(
        work / "questions.jsonl", ({"id": row["id"], "text": f"Human: {row['instruction']}"} for row in parts["pool"])
    )
    framed = (f"\nHuman: {row['instruction']}\nAssistant:{row['output']}" for row in parts["pool"])
    tokenizer = train_tokenizer(framed, VOCABULARY)
    tokenizer.save_pretrained(work / "tokenizer")
    [(name, most)] = Counter(row["output"] for row in test).most_common(1)
    print(
        f"pool: {len(parts['pool']):,} questions; test: {len(test)}, {most / len(test):.1%} of them {name}", flush=True
    )


def write(path: Path, rows: Iterable[dict]) -> None:
    """Write rows, but for a file that has them already: a run goes on only with the files that it began with."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def run(name: str, *words: str) -> Place:
    """Run a pipeline as its command does, and say how long it took."""
    began, entry = time.monotonic(), PIPELINES[name]
    place = run_pipeline(entry.pipeline_class()(compose(entry.job_class(), None, list(words))), tell=False)
    print(f"  {name}: {time.monotonic() - began:,.0f} s", flush=True)
    return place


def train_base(work: Path) -> None:
    run(
        "pack",
        f"input.path={work}/questions.jsonl",
        f"pack.tokenizer={work}/tokenizer",
        f"pack.window={WINDOW}",
        f"output.path={work}/packed-questions",
    )
    training = ["epochs=6", "batch.rows=8", "optimizer.lr=2e-3", "workers.cpus=1", f"output.path={work}/base"]
    run("reference", f"data.path={work}/packed-questions", *MODEL, *training)


def train_scorer(work: Path) -> None:
    run(
        "pack",
        *(f"input.path={work}/seen.jsonl", "input.text_column=null", f"output.path={work}/packed-seen"),
        *(f"pack.tokenizer={work}/tokenizer", f"pack.window={WINDOW}", f"pack.template={TEMPLATE}"),
    )
    training = ["epochs=8", "batch.rows=2", "optimizer.lr=2e-3", "workers.cpus=1", f"output.path={work}/scorer"]
    run("reference", f"data.path={work}/packed-seen", f"model.path={work}/base", *training)


def compare(work: Path, options: argparse.Namespace) -> Place:
    student = [
        *(f"student.model.path={work}/base", f"student.window={WINDOW}", "student.workers.cpus=1"),
        *(
            f"student.epochs={options.epochs}",
            f"student.batch.rows={options.batch}",
            f"student.optimizer.lr={options.lr}",
        ),
    ]
    less = [
        *(
            f"less.template={TEMPLATE}",
            "less.dimensions=1024",
            "less.training.lora.rank=8",
            "less.training.lora.alpha=32",
        ),
        *("less.training.optimizer.lr=1e-3", "less.training.epochs=2", "less.training.batch.rows=4"),
        *(f"less.training.window={WINDOW}", "less.training.workers.cpus=1"),
    ]
    return run(
        "compare",
        *(f"input.path={work}/pool.jsonl", f"evaluation.path={work}/test.jsonl", f"target.path={work}/target.jsonl"),
        *(f"selectors=[{','.join(options.selectors)}]", f"budget.rows={options.rows}", "dsir.min_words=0"),
        *(f"scorer.path={work}/scorer", f"prompting.template={TEMPLATE}", *less, *student),
        *(f"random_seeds={options.random_seeds}", f"student_seeds={options.student_seeds}"),
        *(f"features.path={work}/features", f"output.path={work}/comparison"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with TREC.train and TREC.test")
    parser.add_argument("--work", type=Path, default=Path("runs/selection_study"), help="folder of everything made")
    parser.add_argument("--selectors", nargs="+", default=SELECTORS, help="as `selectors` of gristmill run compare")
    parser.add_argument("--rows", type=int, default=400, help="budget")
    parser.add_argument("--held-out", type=int, default=150, help="rows of the target set, and as many for the scorer")
    parser.add_argument("--random-seeds", type=int, default=5)
    parser.add_argument("--student-seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=16, help="passes of a student over its rows")
    parser.add_argument("--batch", type=int, default=2, help="packed rows of a student's step")
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate of students")
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    began, work = time.monotonic(), options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    prepare(options.data, work, options.held_out)
    with session(ClusterConfig()):
        train_base(work)
        train_scorer(work)
        place = compare(work, options)
    print("\n" + place.read("comparison.md").decode())
    print(f"{time.monotonic() - began:,.0f} s in all; the page is {place.url}/report.html")


if __name__ == "__main__":
    main()
