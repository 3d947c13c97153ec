"""Folders that are called COLUMN=VALUE, as Hive, Spark and others write them: the column is in no file, but in its address."""

import re
from typing import Any
from urllib.parse import unquote

from operators.storage.base import InputFile
from operators.storage.formats.base import Row
from operators.storage.formats.jsonl import compact, parsed

FOLDER = re.compile(r"(\w[^=/]*)=([^/]*)")
NULL = "__HIVE_DEFAULT_PARTITION__"


def partition_of(file: InputFile) -> dict[str, str | None]:
    """Return the columns that the folders of a file tell: those below the root of the input, and those that lead on to it."""
    *folders, _ = file.url.split("/")
    outside = len(folders) - file.name.count("/")
    while outside and FOLDER.fullmatch(folders[outside - 1]):
        outside -= 1
    found = filter(None, map(FOLDER.fullmatch, folders[outside:]))
    return {_decoded(match[1]): None if match[2] == NULL else _decoded(match[2]) for match in found}


def with_partition(row: Row, partition: dict[str, Any], whole: bool) -> Row:
    """Add the columns of a partition to a row's metadata, or to its record where it is a `whole` one. Columns of the file win."""
    if not whole:
        return row._replace(metadata=_added(row.metadata or "{}", partition))
    return row if row.text is None else row._replace(text=_added(row.text, partition))


def _added(object: str, partition: dict[str, Any]) -> str:
    """Put members before those of a JSON object, which stay as they stand."""
    known = parsed(object.encode(errors="surrogatepass"))
    fresh = {name: value for name, value in partition.items() if name not in known}
    if not fresh:
        return object
    return f"{compact(fresh)[:-1]}{',' if known else ''}{object.lstrip()[1:]}"


def _decoded(text: str) -> str:
    return unquote(text, errors="replace").encode(errors="replace").decode()
