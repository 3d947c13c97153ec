"""Files that are odd, and files that are harmed: no reader raises, and each row that is lost says where and why."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from operators.errors import BadRequest
from operators.storage.base import BROKEN, UNCOUNTED, InputFile, Split
from operators.storage.config import InputConfig
from operators.storage.reading import check_input, read_documents
from operators.storage.registry import reader_of
from tests.operators.storage.documents import LOCAL, assert_tiled
from tests.operators.storage.odd_files import FILES, harmed

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


@pytest.mark.parametrize("format", FILES)
@pytest.mark.parametrize(
    "seeds", [range(60), pytest.param(range(1000, 6000), marks=[pytest.mark.long, pytest.mark.timeout(1500)])]
)
def test_no_file_makes_its_reader_raise(tmp_path, format, seeds):
    left = set()
    for seed in seeds:
        draw = random.Random(seed)
        path = tmp_path / "a"
        path.write_bytes(harmed(draw, FILES[format](draw), FILES[draw.choice(list(FILES))](draw)))
        try:
            left |= set(survives(path, format, draw))
        except Exception as error:
            raise AssertionError(f"the {format} file of seed {seed}") from error
    assert len(left) > 1 and not left & {"error", "unreadable_file"}  # what a reader foresees has words of its own
