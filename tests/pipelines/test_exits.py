import signal

import pytest
import typer

from cluster import log
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


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_at_any_moment_ends_in_words_and_code_130(name, capsys):
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests were started in the background
    try:
        with pytest.raises(SystemExit) as ended:
            guarded(lambda: signal.raise_signal(getattr(signal, name)))
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    assert ended.value.code == 130 and "the same command resumes it" in capsys.readouterr().err


def test_ctrl_c_is_told_in_words_through_the_command_line_too(capsys):
    app = typer.Typer()

    @app.command()
    def command() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        guarded(lambda: app(args=[]))
    assert ended.value.code == 130 and "the same command resumes it" in capsys.readouterr().err


def test_what_nobody_foresaw_is_told_in_a_line_and_its_traceback_is_in_the_log(capsys):
    def command():
        raise ValueError("You must provide `batch_size`\nwhen requesting GPUs.")

    with pytest.raises(SystemExit) as ended:
        guarded(command)
    told = capsys.readouterr().err
    assert ended.value.code == 1 and "Traceback" not in told
    first, second = told.splitlines()
    assert first == "gristmill: that was not foreseen: ValueError: You must provide `batch_size` when requesting GPUs."
    assert str(log.path()) in second
    assert "in command" in log.path().read_text() and log.path().stat().st_mode & 0o077 == 0


def test_a_run_that_failed_for_what_a_process_did_points_to_the_log(capsys):
    def command():
        try:
            raise OSError("the device is gone")
        except OSError as error:
            raise RunFailed("the engine did not start.") from error

    with pytest.raises(SystemExit):
        guarded(command)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "gristmill: the engine did not start." and str(log.path()) in second
    assert "OSError: the device is gone" in log.path().read_text()
