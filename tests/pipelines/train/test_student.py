import pytest

from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.learn.training.config import TrainedModelConfig
from operators.storage.config import StorageConfig
from pipelines.ledger.artifacts import Reference, digest
from pipelines.ledger.reading import read_records
from pipelines.train.student import Student, StudentConfig, student_stages
from tests.pipelines.chain import WINDOW, make_packed, place_of

pytestmark = pytest.mark.usefixtures("ray_session")


def test_a_student_learns_the_rows_that_its_stage_packed_and_no_others(tmp_path):
    folder = make_packed(tmp_path / "made", 20)
    config = StudentConfig(model=TrainedModelConfig(path=str(folder / "model")), window=WINDOW, steps=300)
    student = Student(config, (), ExampleConfig(), "alpaca", str(folder), StorageConfig(), ClusterConfig())
    _, training = student_stages("student", lambda made: student, (), config)
    assert training.amount == "300 steps"
    packed = Reference("pack", str(folder / "packed"), digest(read_records(place_of(folder / "packed")).recipe))
    assert training.build({"student: rows": packed}).plan.steps == 300
    with pytest.raises(BadRequest, match="made anew with other settings meanwhile"):
        training.build({"student: rows": Reference("pack", packed.url, "0")})
