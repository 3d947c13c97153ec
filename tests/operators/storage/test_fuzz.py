"""Files that are odd, and files that are harmed: no reader raises, and each row that is lost says where and why."""

import random
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from operators.errors import BadRequest
from operators.storage.base import BROKEN, UNCOUNTED, CorruptFile, InputFile, Split
from operators.storage.config import InputConfig
from operators.storage.reading import check_input, read_documents
from operators.storage.registry import reader_of
from tests.operators.storage.documents import LOCAL, assert_tiled
from tests.operators.storage.odd_files import FILES, SOUND, counted, harmed, name

CONFIGS = [InputConfig(), InputConfig(text_column=None, id_column=None), InputConfig(id_column="key")]
TOLD = {
    *UNCOUNTED,
    BROKEN,
    "error",
    "invalid_json",
    "invalid_utf8",
    "ambiguous_column",
}  # whose detail says what is wrong


def survives(path: Path, format: str, draw: random.Random) -> list[str]:
    """Read a file in splits; give the reasons of the rows that left."""
    size = max(path.stat().st_size, 1)
    file = InputFile(path.name, str(path), path.stat().st_size, format)
    cuts = {draw.randrange(size) for _ in range(draw.choice([0, 3]))} if reader_of(format).divisible else set()
    borders, reasons = sorted({0, size, *cuts}), []
    for config in CONFIGS:
        places = []
        for begin, end in pairwise(borders):
            pieces = list(read_documents(Split(file, begin, end), config, LOCAL, piece_bytes=500))
            assert_tiled(pieces)
            for row in (row for piece in pieces for row in piece.documents.to_pylist()):
                places.append(row["position"])
                reasons.append(row["reason"])
                assert row["document_id"] and row["source_file"] == path.name
                assert row["reason"] not in TOLD or row["detail"]
        assert len(set(places)) == len(places)
        try:
            check_input([file], config, LOCAL)
        except BadRequest as error:
            assert path.name in str(error)
    return reasons


of_seeds = pytest.mark.parametrize(
    "seeds", [range(60), pytest.param(range(1000, 6000), marks=[pytest.mark.long, pytest.mark.timeout(1500)])]
)


@pytest.mark.parametrize("format", FILES)
@of_seeds
def test_no_file_makes_its_reader_raise(tmp_path, format, seeds):
    left = set()
    for seed in seeds:
        draw = random.Random(seed)
        path = tmp_path / name(draw)
        path.write_bytes(harmed(draw, FILES[format](draw), FILES[draw.choice(list(FILES))](draw)))
        try:
            left |= set(survives(path, format, draw))
        except Exception as error:
            raise AssertionError(f"the {format} file of seed {seed}") from error
    assert len(left) > 1 and not left & {"error", "unreadable_file"}  # what a reader foresees has words of its own


def outcome(path: Path, format: str, **config) -> tuple[list[str], set[str]]:
    """Give the texts that are kept of a file, and the reasons of what is not."""
    content = path.stat().st_size
    split = Split(InputFile(path.name, str(path), content, format), 0, max(content, 1))
    found = [
        row for piece in read_documents(split, InputConfig(**config), LOCAL) for row in piece.documents.to_pylist()
    ]
    return [row["text"] for row in found if row["reason"] is None], {row["reason"] for row in found if row["reason"]}


@pytest.mark.parametrize("format", SOUND)
@of_seeds
def test_no_row_is_lost_without_a_word(tmp_path, format, seeds):
    silent = 0
    for seed in seeds:
        draw = random.Random(seed)
        content, path = SOUND[format](draw), tmp_path / name(draw)
        path.write_bytes(content)
        whole, left = outcome(path, format)
        assert whole and not left, f"the sound {format} file of seed {seed}, called {path.name}"
        content = harmed(draw, content, SOUND[format](draw))
        path.write_bytes(content)
        kept, left = outcome(path, format)
        if len(kept) < len(whole) and not left:
            silent += 1
            assert len(kept) in counted(format, content, path.name), (
                f"the {format} file of seed {seed}, called {path.name}"
            )
        if left & {*UNCOUNTED, BROKEN}:
            with suppress(CorruptFile):
                outcome(path, format, on_error="fail")
                assert not left & set(UNCOUNTED), f"the {format} file of seed {seed}, called {path.name}"
    assert silent < len(seeds) / 3
