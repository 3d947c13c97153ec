"""What the commits cost: the pipeline's throughput beside that of the same pipeline without them.

    python -m benchmarks.commit_overhead

Three variants of the same run against an endpoint with 0.5 s latency and 128 requests in flight, one after the other in each
round: as it is; with parts but without records, lease and any bound on what is uncommitted; and with nothing written at all.
The figure is requests per second, from the first request to the last answer, as the server sees it.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rephrase_endpoint import write_documents
from operators.storage.config import StorageConfig
from operators.storage.listing import split_input
from operators.storage.place import Place
from pipelines.config import compose
from pipelines.flow.stream.read import split_rows
from pipelines.ledger.lease import Keeper, myself
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import State
from pipelines.ledger.tenure import claim
from pipelines.rephrase.dag import rephrase
from pipelines.rephrase.job import RephraseJob
from pipelines.rephrase.preflight import check
from tests.fakes.openai_server import running_server

VARIANTS = ("as it is", "without commits", "without writing")
LATENCY_S, IN_FLIGHT = 0.5, 128
NO_BOUND = 10**9


class WithoutRecords(Ledger):
    """Lets every part count at once."""

    def commit(self, name, commit) -> bool:
        return True

    def holds(self, name) -> bool:
        return False

    def current(self) -> bool:
        return True


@dataclass(frozen=True)
class Nowhere(Place):
    """Forgets what is published there."""

    def publish(self, name, data) -> None:
        pass


def run(variant: str, documents: str, url: str, output: str) -> None:
    """Run the pipeline once."""
    import ray

    from cluster.session import session
    from pipelines.flow.board.reporter import Reporter
    from pipelines.flow.board.scoreboard import start_board

    settings = {
        "input.path": documents,
        "styles": "[medium]",
        "engine.openai.base_url": url,
        "engine.openai.model": "fake",
        "engine.openai.concurrency": IN_FLIGHT,
        "output.path": output,
    } | ({} if variant == VARIANTS[0] else {"commit.max_uncommitted_requests": NO_BOUND})
    job = compose(RephraseJob, None, [f"{key}={value}" for key, value in settings.items()])
    checked = check(job)
    splits = split_input(checked.files, job.input)
    kept = nullcontext()
    if variant == VARIANTS[0]:
        tenure = claim(checked.place, None, State(), myself(), {"splits": [split.key for split in splits], "input": {}})
        kept, ledger = Keeper(tenure), tenure.ledger
    else:
        place = checked.place if variant == VARIANTS[1] else Nowhere(output, StorageConfig())
        ledger = WithoutRecords(place, 1)
    with kept, session(job.cluster):
        rephrase(job, split_rows(splits, State(), None), ledger, Reporter(start_board()))
        ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=8_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", nargs=4, metavar=("VARIANT", "DOCUMENTS", "URL", "OUTPUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run(*arguments.run)
        return
    rates: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory() as folder, running_server(latency=LATENCY_S) as server:
        documents = Path(folder, "documents.jsonl")
        write_documents(documents, arguments.requests)
        for number in range(arguments.rounds):
            for variant in VARIANTS:
                server.clear()
                output = Path(folder, f"{variant}-{number}".replace(" ", "-"))
                words = ["--run", variant, str(documents), server.url, str(output)]
                subprocess.run(
                    [sys.executable, "-m", "benchmarks.commit_overhead", *words], check=True, capture_output=True
                )
                stats = server.stats()
                rates[variant].append(stats["requests"] / stats["seconds"])
                print(f"round {number + 1}: {variant:16} {rates[variant][-1]:6.1f} requests/s", flush=True)
    for variant in VARIANTS[1:]:
        ratios = [ours / other for ours, other in zip(rates[VARIANTS[0]], rates[variant], strict=True)]
        print(
            f"as it is / {variant}: median {statistics.median(ratios):.3f} of {', '.join(f'{r:.3f}' for r in ratios)}"
        )


if __name__ == "__main__":
    main()
