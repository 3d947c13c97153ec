import pytest

from operators.errors import BadRequest, StorageFailure, StorageRefusal
from pipelines.exits import Interrupted, RunFailed, guarded


@pytest.mark.parametrize(
    ("error", "code"),
    [(RunFailed, 1), (StorageFailure, 1), (StorageRefusal, 1), (BadRequest, 2), (Interrupted, 130)],
)
def test_what_stops_a_run_is_told_in_one_line_and_has_its_code(error, code, capsys):
    def command():
        raise error("s3://corpus/a: the store failed")

    with pytest.raises(SystemExit) as ended:
        guarded(command)
    assert ended.value.code == code and capsys.readouterr().err == "gristmill: s3://corpus/a: the store failed\n"
