"""The files of an input, and whether they can be read: the first thing that every pipeline over documents checks."""

import os
import re
from collections.abc import Iterable

from operators.errors import BadRequest
from operators.storage.base import InputFile, Split
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.filesystem import local_path
from operators.storage.listing import list_and_sift
from operators.storage.place import Place
from operators.storage.reading import check_input
from pipelines.ledger.layout import CARD, DIGESTED, FOLDERS, TABLE, files_of_parts
from pipelines.ledger.reading import data_parts


def input_files(
    input: InputConfig, storage: StorageConfig, place: Place, shared: str | None = None
) -> tuple[list[InputFile], list[str]]:
    """List the files of an input, without those of the artifact that is to be made, and of artifacts in the folder `shared`.

    Gives what the user should know of it too: which files are no documents. Raises BadRequest where none can be read.
    """
    listed, said = list_and_sift(input, storage)
    files = _committed(_outside(place, shared, listed), storage)
    check_input(files, input, storage)
    return files, said


def versions(files: Iterable[InputFile]) -> dict[str, list]:
    """Give what changes with each file, by its name."""
    return {file.name: [file.bytes, file.version] for file in files}


def bytes_of(splits: Iterable[Split]) -> int:
    return sum(split.end - split.begin for split in splits)


def _outside(place: Place, shared: str | None, files: list[InputFile]) -> list[InputFile]:
    """Leave out what runs made of the input: a run must not read its own rows."""
    own = tuple(f"{_real(place.url)}/{name}" for name in (*(f"{folder}/" for folder in FOLDERS), CARD))
    made = re.compile(f"{re.escape(_real(shared))}/{DIGESTED}/") if shared else None
    urls = {file.url: _real(file.url) for file in files}
    outside = [file for file in files if not (urls[file.url].startswith(own) or (made and made.match(urls[file.url])))]
    if not outside:
        raise BadRequest(f"all files of input.path belong to output.path={place.url}. Give another output.path.")
    return outside


def _committed(files: list[InputFile], storage: StorageConfig) -> list[InputFile]:
    """Of artifacts among the input, keep what their records name. Raises BadRequest where something of that is gone."""
    parts: dict[str, set[str]] = {}
    for file in files:
        root, data, name = file.url.rpartition("/data/")
        if data and TABLE.fullmatch(f"data/{name}"):
            parts.setdefault(root, set()).add(f"data/{name}")
    left_out = set()
    for root, there in parts.items():
        place = Place(root, storage)
        if (named := data_parts(place)) is None:
            continue
        if gone := named - there and sorted(named - set(files_of_parts(place)[0])):
            raise BadRequest(f"{len(gone)} parts of {root} are gone: {gone[0]}. `gristmill verify {root}` says more.")
        left_out |= {f"{root}/{name}" for name in there - named}
    return [file for file in files if file.url not in left_out]


def _real(url: str) -> str:
    """Follow links, where there can be any."""
    path = local_path(url)
    return os.path.realpath(path) if path else url
