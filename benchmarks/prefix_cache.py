"""What `prompt_order=text_first` saves: four styles of one chunk share its prefix in vLLM's cache.

    python -m benchmarks.prefix_cache

The same documents, styles, engine settings and random-weight model with either order; each request writes 16 tokens, so that
the prompts are most of the work, as they are for long passages. Prints the share of prompt tokens that the cache served and
the requests per second, from the engine's start to its last answer; the two orders take turns.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.rephrase_endpoint import write_documents
from benchmarks.rephrase_overhead import make_model

ORDERS = ("instruction_first", "text_first")
STYLES = "[easy,medium,hard,qa]"
SPEED = re.compile(r"engines: ([\d,]+) requests in ([\d,.]+) s")


def run(order: str, model: Path, documents: Path, output: Path) -> tuple[float, float]:
    """Run the pipeline; give the share of prompt tokens from the cache and requests per second."""
    words = [
        *(f"input.path={documents}", f"styles={STYLES}", f"prompt_order={order}", "max_tokens=16", "temperature=0"),
        *("clean.preset=null", "mix.real=0", f"output.path={output}"),
        *(f"engine.vllm.model={model}", "engine.vllm.max_num_seqs=32"),
    ]
    command = [sys.executable, "-m", "pipelines", "run", "rephrase", *words]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    requests, seconds = (float(number.replace(",", "")) for number in SPEED.search(text).groups())
    paid = json.loads((output / "_gristmill/summary.json").read_text())["paid"].values()
    return sum(style["cached"] for style in paid) / sum(style["prompt"] for style in paid), requests / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, documents = make_model(folder / "model"), folder / "documents.jsonl"
        write_documents(documents, arguments.documents, length=280)  # words; a chunk has at most 300 tokens
        found: dict[str, list[tuple[float, float]]] = {order: [] for order in ORDERS}
        for number in range(arguments.rounds):
            for order in ORDERS:
                found[order].append(run(order, model, documents, folder / f"{order}{number}"))
        for order in ORDERS:
            shares, rates = zip(*found[order], strict=True)
            print(
                f"{order:18} from the cache {statistics.median(shares):6.1%}   {statistics.median(rates):6.1f} requests/s"
            )
        gain = statistics.median(b[1] / a[1] for a, b in zip(*found.values(), strict=True))
        print(f"text_first does {gain:.2f} times the requests per second of instruction_first")


if __name__ == "__main__":
    main()
