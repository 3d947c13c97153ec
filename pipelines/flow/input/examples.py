"""Whether an input holds examples at all, and the fields that are asked for, before anything is read."""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from operators.errors import BadRequest
from operators.examples.base import STAGE
from operators.storage.base import END, Piece, Split
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.formats.base import listed
from operators.storage.formats.jsonl import parsed
from operators.storage.reading import NO_FILES_FAULT, read_documents
from operators.table import living
from operators.text.extract import ExtractConfig

LOOKED_INTO = (
    32  # pieces of the input, of some 64 KiB, in which an example is looked for before anything is read; or splits
)
PIECES = 4  # of each split, in which fields are looked for


def require_examples(
    splits: list[Split],
    input: InputConfig,
    storage: StorageConfig,
    extract: ExtractConfig,
    read: Callable[[pa.Table], pa.Table],
) -> None:
    """Raise BadRequest where of the first records, read as examples, none is one.

    A record of which `read` raises is left for the run, which finds it and tells of it.
    """
    records, wrong = 0, []
    each = max(1, LOOKED_INTO // max(1, len(splits)))
    for piece in (piece for split in _spread(splits) for piece in _first_pieces(split, input, storage, extract, each)):
        try:
            documents = read(piece.documents)
        except NO_FILES_FAULT:
            raise
        except Exception:
            return
        if living(documents).any():
            return
        records += len(documents)
        wrong += documents.filter(pc.equal(documents["stage"], STAGE)).slice(0, 1).to_pylist()
    if wrong:
        first = wrong[0]
        raise BadRequest(
            f"none of the first {records:,} records is an example. The first, in {first['source_file']}, "
            f"{first['reason']}: {first['detail']}. `examples` says which columns are question and answer, for example "
            "examples.prompt_columns=[question] examples.answer_column=answer."
        )


def require_fields(
    splits: list[Split], input: InputConfig, storage: StorageConfig, extract: ExtractConfig, fields: Collection[str]
) -> list[str]:
    """Say which of the fields that are asked for the first records lack. Raises BadRequest where those are all records."""
    known: dict[str, None] = {}
    whole = len(splits) <= LOOKED_INTO
    for split in _spread(splits) if fields else ():
        for piece in _first_pieces(split, input, storage, extract, PIECES):
            for record in piece.documents["text"].drop_null().to_pylist():
                known |= dict.fromkeys(parsed(record.encode()))
            if all(field in known for field in fields):
                return []
        whole = whole and piece.end == END
    missing = [field for field in fields if known and field not in known]
    if missing and whole:
        raise BadRequest(
            f"no field {missing[0]!r} in any record of {input.path}. There are: {listed(known)}. Name one of these."
        )
    return [
        f"no field {field!r} in the first records of {input.path}. There are: {listed(known)}." for field in missing
    ]


def _spread(splits: list[Split]) -> list[Split]:
    """Choose the splits that are looked into: from all over the input, the first and the last among them."""
    count = min(len(splits), LOOKED_INTO)
    return [splits[number * (len(splits) - 1) // max(1, count - 1)] for number in range(count)]


def _first_pieces(
    split: Split, input: InputConfig, storage: StorageConfig, extract: ExtractConfig, most: int
) -> Iterator[Piece]:
    """Yield the first pieces of a split; a broken file is left for the run itself to tell of."""
    reading = read_documents(split, replace(input, on_error="reject"), storage, extract=extract)
    with closing(reading) as pieces:
        yield from islice(pieces, most)
