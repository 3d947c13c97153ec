import pytest
import ray

from operators.errors import BadRequest
from pipelines.exits import RunFailed
from pipelines.flow.board.scoreboard import start_board
from pipelines.run.execute import _failures_explained

pytestmark = pytest.mark.usefixtures("ray_session")


@ray.remote
def failing(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (
            ValueError("first line\nsecond line"),
            RunFailed,
            "ValueError: first line second line The same command resumes.",
        ),
        (BadRequest("faithful.model cannot be put on cuda."), BadRequest, "faithful.model cannot be put on cuda."),
    ],
)
def test_what_a_task_raised_is_told_without_where_ray_says_it_was(raised, kind, said):
    with pytest.raises(kind) as told, _failures_explained(start_board()):
        ray.get(failing.remote(raised))
    assert str(told.value) == said
