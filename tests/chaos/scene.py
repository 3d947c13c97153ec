"""Where the runs of a series happen: a corpus, an endpoint, an S3 service behind a proxy, and the command."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psutil

from operators.storage.config import StorageConfig
from operators.storage.place import Place
from tests.chaos.processes import Run, title
from tests.chaos.rows import Row, read_rows
from tests.fakes.openai_server import RunningServer, running_server
from tests.fakes.ray_nodes import ENVIRONMENT
from tests.fakes.s3 import running_s3
from tests.fakes.tcp_proxy import Proxy, running_proxy

ROOT = Path(__file__).resolve().parents[2]
FILES = 4
WORDS = "river stone market engine winter letter garden method copper signal harbour teacher number forest".split()


def write_corpus(folder: Path, documents: int, dice: random.Random) -> None:
    """Write jsonl files of documents of one to six chunks; some lines are broken, and some texts the endpoint refuses."""
    folder.mkdir()
    for number in range(FILES):
        lines = []
        for i in range(documents // FILES):
            sentences = [" ".join(dice.choices(WORDS, k=12)).capitalize() for _ in range(dice.choice([1, 2, 3, 18]))]
            refused = "<<400>> " if i % 97 == 5 else ""
            text = f"{refused}Note {number} {i}. {'. '.join(sentences)}."
            lines.append('{"text": 7' if i % 89 == 3 else json.dumps({"id": f"{number}-{i}", "text": text}))
        (folder / f"{number}.jsonl").write_text("\n".join(lines) + "\n")


@dataclass
class Scene:
    """What all runs of a series share. `settings` are words for every command."""

    folder: Path
    server: RunningServer
    direct: StorageConfig  # the S3 service itself; runs reach it through the proxy
    proxy: Proxy
    settings: list[str] = field(default_factory=list)

    def command(self, output: str) -> list[str]:
        words = {
            "input.path": self.folder / "corpus",
            "styles": "[medium,easy]",
            "chunk.max_tokens": 100,
            "clean.preset": "wrap",
            "engine.openai.base_url": self.server.url,
            "engine.openai.model": "fake",
            "engine.openai.concurrency": 32,
            "output.rows_per_part": 128,
            "output.path": output,
            "storage.endpoint_url": self.proxy.url,
        }
        settings = [f"{key}={value}" for key, value in words.items()] + self.settings
        return [sys.executable, "-m", "pipelines", "run", "rephrase", *settings]

    def start(self, output: str, name: str, address: str | None) -> Run:
        """Start the command, on a cluster that is there or on its own."""
        own = ["cluster.cpus=2", "cluster.object_store_mb=100"]
        joined = [f"cluster.address={address}", "engine.copies=2", "engine.openai.concurrency=16"]
        environment = os.environ | {"RAY_DATA_DISABLE_PROGRESS_BARS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
        return Run(
            [*self.command(output), *(joined if address else own)],
            self.folder / f"{name}.log",
            ROOT,
            environment | (ENVIRONMENT if address else {}),
        )

    def output(self, name: str, kind: str) -> str:
        """Give an address for a new artifact: local or s3."""
        return f"s3://corpus/{name}" if kind == "s3" else str(self.folder / name)

    def place(self, output: str) -> Place:
        return Place(output, self.direct)

    @cached_property
    def s3_process(self) -> psutil.Process:
        """Find the S3 service among our own children."""
        port = self.direct.endpoint_url.rpartition(":")[2]
        ours = psutil.Process().children()
        return next(p for p in ours if "moto.server" in title(p) and title(p).endswith(port))

    @cached_property
    def verifies(self) -> bool:
        """Whether the code has a `verify` command."""
        asked = subprocess.run([sys.executable, "-m", "pipelines", "verify", "--help"], cwd=ROOT, capture_output=True)
        return asked.returncode == 0

    def verify(self, output: str) -> str:
        """Let the command verify a finished artifact. Returns what is wrong, empty if nothing is."""
        command = [sys.executable, "-m", "pipelines", "verify", output, "--endpoint-url", self.direct.endpoint_url]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        told = (run.stdout + run.stderr).strip()[-500:]
        return "" if run.returncode == 0 else f"verify ended with {run.returncode}: {told}"

    @cached_property
    def undisturbed(self) -> "Undisturbed":
        """Make the artifact that all others are compared with."""
        began, output = time.monotonic(), self.output("undisturbed", "local")
        run = self.start(output, "undisturbed", None)
        try:
            code = run.process.wait()
        finally:
            run.process.kill()  # should the series be stopped meanwhile
            run.family.end(10)
        if code:
            raise RuntimeError(f"the undisturbed run ended with {code}:\n{run.last_words()}")
        rows = read_rows(self.place(output))
        if len(rows) != len({id for id, _ in rows}):
            raise RuntimeError("the undisturbed run has rows of equal ids: nothing can be compared with it")
        return Undisturbed(dict(rows), self.server.stats()["requests"], time.monotonic() - began)


@dataclass
class Undisturbed:
    """What a run makes that is left alone: its rows, the requests that it took, and its seconds."""

    rows: dict[str, Row]
    requests: int
    seconds: float


@contextmanager
def scene(folder: Path, documents: int, latency: float, settings: list[str]) -> Iterator[Scene]:
    """Set up everything in an empty folder. `latency` is the endpoint's, in seconds."""
    write_corpus(folder / "corpus", documents, random.Random(0))
    with running_server(latency=latency) as server, running_s3() as direct:
        port = int(direct.endpoint_url.rpartition(":")[2])
        with running_proxy(port) as proxy:
            yield Scene(folder, server, direct, proxy, settings)
