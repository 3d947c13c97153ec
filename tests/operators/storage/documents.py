"""Reading in one line, for tests."""

from itertools import pairwise
from pathlib import Path

from operators.storage.base import END, InputFile, Piece, Split
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.listing import list_input, split_input
from operators.storage.reading import read_documents

LOCAL = StorageConfig()


def pieces(path: Path, piece_bytes: int = 64 * 1024, **config) -> list[Piece]:
    """All pieces of an input."""
    settings = InputConfig(path=str(path), **config)
    splits = split_input(list_input(settings, LOCAL), settings)
    return [piece for split in splits for piece in read_documents(split, settings, LOCAL, piece_bytes=piece_bytes)]


def rows(path: Path, **config) -> list[dict]:
    """All rows of an input."""
    return [row for piece in pieces(path, **config) for row in piece.documents.to_pylist()]


def reasons(path: Path, **config) -> list[str | None]:
    return [row["reason"] for row in rows(path, **config)]


def cut(path: Path, format: str, borders: list[int]) -> list[Split]:
    """Splits of a file at the given bytes."""
    size = path.stat().st_size
    file = InputFile(path.name, str(path), size, format)
    edges = sorted({0, size, *(border % (size + 1) for border in borders)})
    return [Split(file, begin, end) for begin, end in pairwise(edges)]


def read(splits: list[Split], **config) -> list[dict]:
    settings = InputConfig(**config)
    found = [piece for split in splits for piece in read_documents(split, settings, LOCAL)]
    return [row for piece in found for row in piece.documents.to_pylist()]


def assert_tiled(found: list[Piece]) -> None:
    """The pieces of one split tile [0, END), and each holds the positions that lie in it."""
    assert [piece.begin for piece in found] == [0, *(piece.end for piece in found[:-1])]
    assert found[-1].end == END
    for piece in found:
        assert all(piece.begin <= position < piece.end for position in piece.documents["position"].to_pylist())
