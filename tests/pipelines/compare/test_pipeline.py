import json

import pyarrow.parquet as pq
import pytest

from cluster.errors import NoCluster
from operators.errors import BadRequest
from operators.learn.training.config import TrainedModelConfig
from operators.storage.config import StorageConfig
from operators.text.tokenizer import contents_digest, load_tokenizer
from pipelines.ledger.proof.verify import verify
from pipelines.train.student import StudentConfig, require_student, tokenizer_of
from tests.pipelines.chain import run
from tests.pipelines.instruction_rows import make_pool

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_pool(tmp_path_factory.mktemp("compare"), 40, ids=7)
    for name in ("pool", "target"):
        with (folder / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps({"id": "silent", "instruction": "Say something.", "output": ""}) + "\n")
    return folder


def words(folder, *more: str) -> list[str]:
    return [
        f"input.path={folder / 'pool.jsonl'}",
        f"evaluation.path={folder / 'target.jsonl'}",
        f"student.model.path={folder / 'model'}",
        "student.steps=2",
        "student.window=256",
        "student.batch.rows=2",
        "student.workers.cpus=1",
        "report.sample=4",
        "budget.rows=8",
        f"output.path={folder / 'comparison'}",
        *more,
    ]


@pytest.mark.timeout(600)
def test_students_on_random_rows_are_the_yardstick_of_the_others(folder, capsys):
    settings = words(folder, "selectors=[zip]", "random_seeds=3", "zip.k1=20", "zip.k2=8", "zip.k3=4")
    said = []
    place = run("compare", *settings, say=said.append)
    lacks = "1 records are not in the pool: example/no_answer 1"
    assert f"note: evaluation.path: {lacks}" in said
    assert f"note: selection: {lacks}" in capsys.readouterr().err.splitlines()
    rows = [row for name in place.names("data") for row in pq.read_table(place.open(name)).to_pylist()]
    assert sorted(row["id"] for row in rows) == [
        "random-seed-0-student-0",
        "random-seed-1-student-1",
        "random-seed-2-student-2",
        "zip-student-0",
    ]
    assert all(row["rows"] == 8 and row["tokens"] > 0 for row in rows)
    assert len(list((folder / "features").glob("student-*/model/checkpoints/*"))) == len(rows)  # the last alone
    losses = [json.loads(row["metrics"])["answer_loss"] for row in rows]
    assert len(set(losses)) == len(losses)
    comparison = json.loads(place.read("comparison.json"))
    random, other = [line for line in comparison["lines"] if line["metric"] == "answer_loss"]
    assert (random["method"], random["runs"], other["method"], other["runs"]) == ("random", 3, "zip", 1)
    assert random["mean"] == pytest.approx(sum(random["values"]) / 3)
    assert "zip" in place.read("report.html").decode() and "| zip |" in place.read("comparison.md").decode()
    assert verify(place).whole

    # A trained model may be the next students' base.
    artifact = str(next((folder / "features").glob("student-*/model")))
    base = StudentConfig(model=TrainedModelConfig(path=artifact), window=256, steps=1)
    require_student(base, StorageConfig())
    used = load_tokenizer(tokenizer_of(base, StorageConfig()))
    assert contents_digest(used) == contents_digest(load_tokenizer(str(folder / "model")))


def test_workers_for_which_there_is_no_room_are_told_before_anything_is_read(folder):
    shared = folder / "no-room"
    words_of_it = ["selectors=[zip]", "student.workers.count=3", f"features.path={shared}"]
    with pytest.raises(NoCluster, match=r"^random-seed-0-student-0: workers\.count=3 with 1 CPUs each"):
        run("compare", *words(folder, *words_of_it, f"output.path={folder / 'no-room-out'}"))
    assert not list(shared.glob("*/_gristmill"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["selectors=[random]"], "nobody to compare with random"),
        (["selectors=[zip]", "evaluation.path=null"], "evaluation.path is not given"),
        (["selectors=[zip]", "student.model.path=null"], "no model is given.*Here these settings begin with student"),
        (["selectors=[zip]", "student.steps=null"], "nothing says how long to train"),
        (["selectors=[zip]", "student.window=4096"], "student.window=4096 and .* reads 512 tokens at most"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_read(folder, more, message):
    with pytest.raises(BadRequest, match=message):
        run("compare", *words(folder, *more))
