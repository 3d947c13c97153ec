import signal

import pytest
import typer

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
