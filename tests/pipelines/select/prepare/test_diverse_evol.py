"""DiverseEvol from a pool to its choice."""

import pyarrow.parquet as pq
import pytest

from operators.storage.config import StorageConfig
from pipelines.choose.artifact import ChoiceArtifact
from tests.pipelines.chain import run
from tests.pipelines.instruction_rows import make_pool

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.mark.long
def test_rounds_choose_rows_that_no_round_before_has_chosen(tmp_path):
    folder = make_pool(tmp_path / "pool", 30, ids=7)
    words = ["diverse_evol.rounds=1", "diverse_evol.first=3", "budget.rows=7", f"scorer.path={folder / 'model'}"]
    student = ["model.path=" + str(folder / "model"), "window=256", "steps=1", "batch.rows=2", "workers.cpus=1"]
    words += [f"student.{word}" for word in student]
    words += [f"input.path={folder / 'pool.jsonl'}", "report.sample=4", f"output.path={tmp_path / 'choice'}"]
    place = run("select", "selectors=diverse_evol", *words)
    (part,) = place.names("data/diverse_evol")
    rows = pq.read_table(place.open(part)).to_pylist()
    assert [row["pick"] for row in rows] == list(range(7)) and len({row["position"] for row in rows}) == 7
    (rounds,) = (tmp_path / "features").glob("diverse-evol-*")
    of_rounds = [ChoiceArtifact.open(str(rounds / number / "rows"), StorageConfig(), "rows") for number in "01"]
    assert [choice.rows for choice in of_rounds] == [3, 4]
    assert [row["position"] for row in rows] == [one for choice in of_rounds for one in choice.positions.tolist()]
