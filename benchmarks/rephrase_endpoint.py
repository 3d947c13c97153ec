"""The pipeline against an endpoint with 0.2 s latency and 256 requests in flight, beside a bare asyncio loop.

    python -m benchmarks.rephrase_endpoint

Reports, for even latencies and with 8% of the answers taking 2 s: the mean number of requests in flight, as the server
sees it, as a share of 256, and the CPU seconds that all client processes (driver, Ray, workers) use per 1,000 requests, from
the first request to the end, and with the start of the program and of Ray, which costs the same for any number of requests.
The steady mean runs from the moment that 90% of the peak is reached to the arrival of the last request: before and
after it nobody can fill the seats. The bare loop sends the same documents with aiohttp from 256 tasks.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path

from benchmarks.processes import watch
from tests.fakes.openai_server import running_server

IN_FLIGHT, LATENCY, SLOW = 256, 0.2, {"slow_share": 0.08, "slow_latency": 2.0}
WORDS = "river stone market engine winter letter garden method copper signal harbour teacher number forest".split()


def write_documents(path: Path, count: int, length: int = 60) -> None:
    """Write documents of so many words, one chunk each."""
    dice = random.Random(1)
    with path.open("w") as file:
        for i in range(count):
            words = " ".join(dice.choices(WORDS, k=length)).capitalize()
            file.write(json.dumps({"id": str(i), "text": f"Note {i}. {words}."}) + "\n")


def pipeline(url: str, documents: Path, output: Path) -> list[str]:
    settings = [
        f"input.path={documents}",
        "styles=[medium]",
        f"engine.openai.base_url={url}",
        "engine.openai.model=fake",
        f"engine.openai.concurrency={IN_FLIGHT}",
        f"output.path={output}",
    ]
    return [sys.executable, "-m", "pipelines", "run", "rephrase", *settings]


async def bare_loop(url: str, documents: Path) -> None:
    """Send every document from as many tasks as may be in flight."""
    import aiohttp

    texts = iter([json.loads(line)["text"] for line in documents.read_text().splitlines()])
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one_seat() -> None:
            for text in texts:
                body = {"model": "fake", "messages": [{"role": "user", "content": text}], "max_tokens": 512}
                async with session.post(f"{url}/chat/completions", json=body) as answer:
                    await answer.json()

        await asyncio.gather(*[one_seat() for _ in range(IN_FLIGHT)])


def measure(name: str, command: list[str], server, requests: int) -> None:
    server.clear()
    usage = watch(command)
    stats = server.stats()
    whole, running = usage.cpu_total_s, usage.cpu_since(stats["began"])
    print(
        f"{name:32} in flight {stats['steady_in_flight'] / IN_FLIGHT:6.1%}, to the last answer "
        f"{stats['mean_in_flight'] / IN_FLIGHT:6.1%}; CPU s per 1,000 requests {running / requests * 1000:5.2f}, "
        f"with start-up {whole / requests * 1000:5.2f}; {stats['requests']:,} requests, {usage.wall_s:5.1f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--bare", nargs=2, metavar=("URL", "DOCUMENTS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        asyncio.run(bare_loop(arguments.bare[0], Path(arguments.bare[1])))
        return
    with tempfile.TemporaryDirectory() as folder:
        documents = Path(folder) / "documents.jsonl"
        write_documents(documents, arguments.requests)
        for case, slow in (("even", {}), ("8% take 2 s", SLOW)):
            with running_server(latency=LATENCY, **slow) as server:
                bare = [sys.executable, "-m", "benchmarks.rephrase_endpoint", "--bare", server.url, str(documents)]
                measure(f"bare asyncio loop, {case}", bare, server, arguments.requests)
                ours = pipeline(server.url, documents, Path(folder) / case.replace(" ", "-").replace("%", ""))
                measure(f"gristmill, {case}", ours, server, arguments.requests)


if __name__ == "__main__":
    main()
