"""Only what is for the user stands on the screen of a run; real vLLM's is looked at in rephrase/test_command.py."""

import subprocess
import sys

import pytest

from tests.pipelines.chain import make_packed
from tests.pipelines.instruction_rows import make_pool
from tests.pipelines.screen import strange_lines

pytestmark = pytest.mark.ray
SMALL = ("cluster.cpus=2", "cluster.object_store_mb=100")


def run(name: str, output, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pipelines", "run", name, *SMALL, *words, f"output.path={output}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.long
@pytest.mark.usefixtures("ray_session")
def test_a_training_with_workers_of_ray_train(tmp_path):
    packed = make_packed(tmp_path / "packed", 40) / "packed"
    model = ["model.layers=1", "model.heads=2", "model.width=32", "batch.rows=4", "steps=2"]
    output = tmp_path / "out"
    done = run("reference", output, f"data.path={packed}", *model, "workers.count=2", "workers.cpus=1")
    assert strange_lines(done, "reference", output) == []


@pytest.mark.long
def test_a_selection_with_encoders_and_models(tmp_path):
    folder, output = make_pool(tmp_path / "pool", 20), tmp_path / "out"
    words = ["selectors=[k_center,ifd]", f"scorer.path={folder / 'model'}", "budget.rows=4", "report.sample=4"]
    done = run("select", output, f"input.path={folder / 'pool.jsonl'}", *words)
    assert strange_lines(done, "select", output) == []


@pytest.mark.long
def test_a_device_that_is_not_there_is_told_in_words(tmp_path):
    folder = make_pool(tmp_path / "pool", 4)
    words = ["selectors=[k_center]", "sentence.device=cuda", "budget.rows=2", f"output.path={tmp_path / 'out'}"]
    command = [
        sys.executable,
        "-m",
        "pipelines",
        "run",
        "select",
        *SMALL,
        f"input.path={folder / 'pool.jsonl'}",
        *words,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    told = [line for line in done.stderr.splitlines() if line.startswith("gristmill: ")]
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert len(told) == 1 and "cannot be put on cuda" in told[0] and "Set sentence.device=cpu" in told[0]
