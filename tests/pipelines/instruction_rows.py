"""A small pool of instruction rows, a target set and a tiny model, for the tests of select and compare."""

import json
import random
from pathlib import Path

from tests.tiny_model import make_tiny_model

WORDS = "river mill stone wheel bread flour frost grain water spring merchant village pound table garden".split()


def instruction_rows(count: int, seed: int = 0) -> list[dict]:
    """Make rows of different lengths, in the three forms that records have."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        question = f"What about {' and '.join(chance.sample(WORDS, 3))}? {number}"
        answer = " ".join(chance.choice(WORDS) for _ in range(chance.randint(3, 30)))
        forms = (
            {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]},
            {"instruction": question, "input": "", "output": answer},
            {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]},
        )
        rows.append({"id": f"row-{seed}-{number}", "kind": WORDS[number % 3]} | forms[number % 3])
    return rows


def write_rows(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def with_ids(rows: list[dict], ids: int) -> list[dict]:
    """Give rows of which there are only so many ids, as where sets were joined that all count from 0."""
    return [row | {"id": number % ids} for number, row in enumerate(rows)]


def make_pool(folder: Path, count: int = 60, ids: int | None = None) -> Path:
    """Make `folder`/{model,pool.jsonl,target.jsonl}; with `ids`, the rows of each file have only so many ids."""
    folder.mkdir(exist_ok=True)
    make_tiny_model(folder / "model", context_tokens=512)
    for name, rows in (("pool", instruction_rows(count)), ("target", instruction_rows(12, seed=1))):
        write_rows(folder / f"{name}.jsonl", with_ids(rows, ids) if ids else rows)
    return folder
