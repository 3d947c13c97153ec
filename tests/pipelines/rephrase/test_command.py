"""The command as its user runs it: in a process of its own, with signals and exit codes."""

import json
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from operators.storage.filesystem import open_filesystem
from operators.storage.place import Place
from tests.fakes.openai_server import running_server
from tests.pipelines.screen import strange_lines
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.ray


def command(*words: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "pipelines",
        "run",
        "rephrase",
        "cluster.cpus=2",
        "cluster.object_store_mb=100",
        *words,
    ]


def corpus(path, documents: int):
    lines = [
        json.dumps({"id": str(i), "text": f"Note {i}. The mill by the river grinds rye."}) for i in range(documents)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def ids(output) -> list[str]:
    names = [name for folder in ("data", "rejected") for name in (output / folder).glob("*.parquet")]
    return [value for name in names for value in pq.read_table(name, columns=["id"])["id"].to_pylist()]


@pytest.mark.long  # test_chaos.py has a driver that is killed, test_exits.py signals at any moment
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_exits_with_130_and_the_same_command_completes_it(tmp_path, sent):
    documents, output = corpus(tmp_path / "notes.jsonl", 900), tmp_path / "out"
    with running_server(latency=0.3) as server:
        words = command(
            f"input.path={documents}",
            "styles=[medium]",
            f"engine.openai.base_url={server.url}",
            "engine.openai.model=fake",
            "engine.openai.concurrency=32",
            "output.rows_per_part=128",
            f"output.path={output}",
        )
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 90
        while not list(output.glob("_gristmill/commits/*/*.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert "the same command resumes" in errors
        settled = len(ids(output))
        assert 0 < settled < 1800
        again = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert again.returncode == 0, again.stderr
        assert "resuming" in again.stdout and strange_lines(again, "rephrase", output) == []
    assert len(ids(output)) == len(set(ids(output))) == 1800  # a row for each document and one for its rewrite


def test_real_vllm_rephrases_real_documents(tmp_path):
    model = make_tiny_model(tmp_path / "model", context_tokens=1024)
    documents, output = corpus(tmp_path / "notes.jsonl", 5), tmp_path / "out"
    words = command(
        f"input.path={documents}",
        "styles=[medium,easy]",
        "prompt_order=text_first",
        "max_tokens=12",
        "clean.preset=null",
        "mix.synthetic=2",
        f"engine.vllm.model={model}",
        "engine.vllm.max_num_seqs=8",
        f"output.path={output}",
    )
    run = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stderr[-3000:]
    rows = [row for path in (output / "data").glob("*") for row in pq.read_table(path).to_pylist()]
    rows += [row for path in (output / "rejected").glob("*") for row in pq.read_table(path).to_pylist()]
    assert sorted(row["style"] for row in rows) == ["easy"] * 5 + ["medium"] * 5 + ["original"] * 5
    rewrites = [row for row in rows if row["style"] != "original" and "completion_tokens" in row]
    assert all(0 < row["completion_tokens"] <= 12 and row["prompt_tokens"] > 50 for row in rewrites)
    assert "10 requests" in run.stdout and strange_lines(run, "rephrase", output) == []


def test_a_model_folder_that_is_not_there_is_named_before_anything_starts(tmp_path):
    words = command(
        f"input.path={corpus(tmp_path / 'a.jsonl', 1)}",
        f"engine.vllm.model={tmp_path}/nowhere",
        f"output.path={tmp_path}/out",
    )
    run = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert "nowhere" in run.stderr
    assert not (tmp_path / "out" / "_gristmill").exists()


@pytest.mark.long
def test_from_a_bucket_to_a_bucket(s3, tmp_path):
    bucket, name = open_filesystem("s3://corpus", s3)
    bucket.put_file(str(corpus(tmp_path / "notes.jsonl", 40)), f"{name}/in/notes.jsonl")
    with running_server() as server:
        words = command(
            "input.path=s3://corpus/in/*.jsonl",
            "styles=[medium]",
            f"storage.endpoint_url={s3.endpoint_url}",
            f"engine.openai.base_url={server.url}",
            "engine.openai.model=fake",
            "output.path=s3://corpus/out",
        )
        runs = [subprocess.run(words, capture_output=True, text=True, timeout=120) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr + runs[1].stderr
    assert "is complete" in runs[1].stdout
    place = Place("s3://corpus/out", s3)
    rows = [row for part in place.names("data") for row in pq.read_table(place.open(part)).to_pylist()]
    assert sorted({row["document_id"] for row in rows}, key=int) == [str(i) for i in range(40)]
    assert place.exists("README.md")
