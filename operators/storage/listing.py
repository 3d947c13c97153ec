"""From paths, folders and globs to files, and from files to splits. Only names and sizes are looked at."""

import os
import re
import stat
from collections import Counter
from functools import partial
from glob import has_magic
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from operators.errors import BadRequest
from operators.storage.base import InputFile, Split
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.filesystem import local_path, open_filesystem, storage_errors
from operators.storage.packing import ENDINGS, bare_name, packing
from operators.storage.registry import FORMATS, guess, known_endings, reader_of, require_format
from operators.storage.sift import Sifted, sift, told

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

VERSIONS = ("ETag", "blob_id", "mtime")  # what S3, the hub and a disk call the version of a file's contents


class FileState(NamedTuple):
    """Size of a file, and what changes with its contents."""

    bytes: int
    version: str


def list_input(config: InputConfig, storage: StorageConfig) -> list[InputFile]:
    """List the files of an input, sorted by name. Raises BadRequest where there is nothing that can be read."""
    return list_and_sift(config, storage)[0]


def list_and_sift(config: InputConfig, storage: StorageConfig) -> tuple[list[InputFile], list[str]]:
    """List the files of an input, sorted by name, and say which are left out. Raises BadRequest as above."""
    _require(config)
    paths = config.path if isinstance(config.path, list | tuple) else [config.path]
    found, said = {}, []  # address -> (name, state); a file that two paths name is read once
    for path in map(str, paths):
        root, files, named = _listed(path, storage)
        sifted = Sifted(list(files)) if named else sift(files, partial(_readable, format=config.format))
        _require_some(path, sifted.kept, config.format)
        if left_out := told(sifted.left_out):
            said.append(f"files of {path} are left out: {left_out}")
        for name in sifted.kept:
            found.setdefault(f"{root}{name}", (name, files[name]))
    names = _unique({url: _printable(name) for url, (name, _) in found.items()})
    _require_unique(names)
    files = [
        InputFile(names[url], url, state.bytes, config.format or guess(bare_name(url)), state.version)
        for url, (_, state) in found.items()
    ]
    return sorted(files, key=lambda file: file.name), said


def split_input(files: list[InputFile], config: InputConfig) -> list[Split]:
    """Cut files into splits of `split_mb`, from their sizes alone. A file that cannot be cut is one split."""
    splits = []
    for file in files:
        end = max(file.bytes, 1)
        whole = packing(file.name) or not reader_of(file.format).divisible
        step = end if whole else config.split_mb * 2**20
        splits += [Split(file, begin, min(begin + step, end)) for begin in range(0, end, step)]
    return splits


def _require(config: InputConfig) -> None:
    if not config.path:
        raise BadRequest("no input was given. Set input.path to a file, a folder, a glob or a list of them.")
    if config.format is not None:
        require_format(config.format)
    if config.on_error not in ("reject", "fail"):
        raise BadRequest(f"input.on_error is {config.on_error!r}. There are: reject, fail.")
    if not config.split_mb >= 1:
        raise BadRequest(f"input.split_mb is a size in MiB, at least 1; {config.split_mb!r} was given.")
    if config.limit is not None and config.limit < 1:
        raise BadRequest(
            f"input.limit is a number of documents, at least 1, or null for all; {config.limit} was given."
        )


def _listed(path: str, storage: StorageConfig) -> tuple[str, dict[str, FileState], bool]:
    """Return the address of a path's root with a slash at its end, states by name, and whether it is one named file."""
    try:
        return _found(path, storage)
    except storage_errors() as error:
        raise BadRequest(f"cannot read {path}: {error}") from error


def _found(path: str, storage: StorageConfig) -> tuple[str, dict[str, FileState], bool]:
    filesystem, place = open_filesystem(path, storage)
    scheme = "" if local_path(path) else path.partition("://")[0] + "://"
    try:
        entry = filesystem.info(place)
    except FileNotFoundError:
        if not has_magic(place):
            raise BadRequest(f"nothing is at {path}. Relative paths begin at {os.getcwd()}.") from None
        matches = filesystem.glob(place, detail=True)
        if not matches:
            raise BadRequest(f"no file matches {path}. Is it quoted? Relative paths begin at {os.getcwd()}.") from None
        root = place[: re.search(r"[*?\[]", place).start()].rpartition("/")[0]
        found = [_states(filesystem, match, entry, bool(local_path(path))) for match, entry in matches.items()]
        return f"{scheme}{root}/", _named({name: state for some in found for name, state in some.items()}, root), False
    files = _states(filesystem, place, entry, bool(local_path(path)))
    one = list(files) == [place]
    root = place.rpartition("/")[0] if one else place.rstrip("/")
    return f"{scheme}{root}/", _named(files, root), one


def _states(filesystem: "AbstractFileSystem", place: str, entry: dict, local: bool) -> dict[str, FileState]:
    """Give the state of a file, or those of all files of a folder, by their places."""
    if local:
        return _walk(place.rstrip("/")) if os.path.isdir(place) else _state(place)
    entries = filesystem.find(place.rstrip("/"), detail=True) if entry["type"] == "directory" else {place: entry}
    return {
        name: FileState(entry["size"] or 0, str(next(filter(None, map(entry.get, VERSIONS)), "")))
        for name, entry in entries.items()
        if entry["type"] == "file"
    }


def _named(files: dict[str, FileState], root: str) -> dict[str, FileState]:
    """Call files by their places below a root."""
    return {place[len(root) + 1 :]: state for place, state in files.items()}


def _walk(root: str) -> dict[str, FileState]:
    """List a local folder. Links are followed, but no folder is listed twice."""

    def fail(error: OSError):
        raise error

    files, seen = {}, set()
    for folder, folders, names in os.walk(root or "/", onerror=fail, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in names:
            files |= _state(os.path.join(folder, name))
    return files


def _state(path: str) -> dict[str, FileState]:
    """Give the state of a local file by its path; nothing for what is none, as a socket."""
    try:
        entry = os.stat(path)
    except OSError:  # a link to nowhere or to itself: reading it will say so
        return {path: FileState(0, "")}
    return {path: FileState(entry.st_size, str(entry.st_mtime))} if stat.S_ISREG(entry.st_mode) else {}


def _readable(names: list[str], format: str | None) -> list[str]:
    """Keep the names that a format reads. A format that is asked for reads any name, unless some have its endings."""
    if format is None:
        return [name for name in names if guess(bare_name(name))]
    return [name for name in names if bare_name(name).endswith(reader_of(format).endings)] or names


def _require_some(path: str, names: list[str], format: str | None) -> None:
    """Raise BadRequest where no name is left, or none that tells a format."""
    if not names:
        raise BadRequest(f"no file is in {path} (names that begin with . or _ do not count).")
    if not _readable(names, format):
        there = Counter(os.path.splitext(name)[1] or "no ending" for name in names).most_common(8)
        raise BadRequest(
            f"no name in {path} tells a format: the endings are {', '.join(f'{ending} ({n})' for ending, n in there)}; "
            f"known are {known_endings()}, each also with {' '.join(ENDINGS)}. Set input.format to one of: {', '.join(FORMATS)}."
        )


def _require_unique(names: dict[str, str]) -> None:
    if twice := [name for name, times in Counter(names.values()).items() if times > 1]:
        raise BadRequest(f"two input files have the name {twice[0]}, which tells their rows apart. Rename one of them.")


def _unique(names: dict[str, str]) -> dict[str, str]:
    """Return names by address; where two inputs share one, all are named from the folder that holds all of them."""
    if len(set(names.values())) == len(names):
        return names
    first, last = min(names).split("/"), max(names).split("/")  # what these share, all share
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    return {url: _printable(url.split("/", shared)[shared]) for url in names}


def _printable(name: str) -> str:
    """Return a file's name as text, whatever bytes it has on the disk."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
