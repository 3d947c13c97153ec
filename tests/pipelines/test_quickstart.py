import subprocess
import sys
import time
from pathlib import Path

import pytest

from operators.errors import BadRequest
from operators.storage.base import END
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines import quickstart
from pipelines.flow.orders.writer import write_orders
from pipelines.ledger.lease import myself
from pipelines.ledger.records import State
from pipelines.ledger.tenure import claim
from pipelines.quickstart import SHOWN, show_thrown_away, showing_rewrites
from tests.pipelines.ledger.finished import FORM, RUN, SPLITS, artifact, order, row

ROOT = Path(__file__).resolve().parents[2]
LOST = {"stage": "faithful", "reason": "facts_lost", "detail": "0.25 of 4 names kept; lost: Anna [x]", "text": "Short."}


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path / "out"), StorageConfig())


def rewrites(begin: int, end: int, **columns) -> list[dict]:
    return [row(SPLITS[0], position, "brief", similarity=0.875, **columns) for position in range(begin, end)]


def test_rewrites_are_shown_beside_their_sources_while_others_are_written(place, capsys):
    shown = ""
    with showing_rewrites(place):
        ledger = claim(place, None, State(), myself(), RUN).ledger
        write_orders(ledger, FORM, "w-0", [order(SPLITS[0], 0, 2, rewrites(0, 2))])
        deadline = time.monotonic() + 60
        while "a1" not in shown and time.monotonic() < deadline:
            shown += capsys.readouterr().out
        write_orders(ledger, FORM, "w-1", [order(SPLITS[0], 2, END, rewrites(2, 9))])
    assert "a0 · kept, similarity 0.88" in shown and "a1 · kept" in shown
    assert any("source of a0" in line and "text of a0" in line for line in shown.splitlines())
    shown += capsys.readouterr().out
    assert [shown.count(f"a{position} · kept") for position in range(9)] == [1] * SHOWN + [0] * (9 - SHOWN)


def test_of_a_finished_artifact_rewrites_are_shown_and_no_real_text(place, capsys):
    artifact(place)
    with showing_rewrites(place):
        pass
    assert capsys.readouterr().out.count("· kept") == SHOWN


def test_a_run_that_fails_shows_what_there_is_and_hands_its_error_on(place, capsys):
    with pytest.raises(BadRequest, match="no such model"), showing_rewrites(place):
        raise BadRequest("no such model")
    assert capsys.readouterr().out == ""


def test_what_was_thrown_away_is_shown_with_its_reason_once_each(place, capsys):
    ledger = claim(place, None, State(), myself(), RUN).ledger
    unlike = LOST | {"reason": "low_similarity", "detail": "similarity 0.500"}
    rows = rewrites(0, 3, **LOST) + rewrites(3, 5, **unlike) + rewrites(5, 6, stage="clean", reason="copy")
    write_orders(ledger, FORM, "w-0", [order(SPLITS[0], 0, END, rows)])
    show_thrown_away(place)
    shown = capsys.readouterr().out
    assert shown.count("thrown away") == 2 and "copy" not in shown
    assert "a0 · thrown away, facts_lost: 0.25 of 4 names kept; lost: Anna [x]" in " ".join(shown.split())
    assert any("source of a0" in line and "Short." in line for line in shown.splitlines())
    assert "low_similarity: similarity 0.500" in shown


def test_elsewhere_than_in_the_root_the_quickstart_says_where_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRequest, match="in the repository's root"):
        quickstart.main()


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_quickstart_rewrites_real_english_and_its_second_run_shows_it_again(tmp_path, smollm2_folder):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "runs" / "quickstart").mkdir(parents=True)
    (tmp_path / "runs" / "quickstart" / smollm2_folder.name).symlink_to(smollm2_folder)
    words = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pipelines.quickstart import main; main()",
    ]
    first = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert first.returncode == 0, first.stderr[-3000:]
    assert first.stdout.count("· kept, similarity") == SHOWN
    assert "thrown away, facts_lost" in first.stdout and "runs/quickstart/output/data" in first.stdout
    again = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "is complete: nothing is left to do" in again.stdout and again.stdout.count("· kept, similarity") == SHOWN
