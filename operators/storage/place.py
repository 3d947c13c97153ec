"""A folder of an artifact: files published whole or not at all, on disks and on S3."""

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from operators.errors import BadRequest, StorageRefusal

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
from operators.storage.config import StorageConfig
from operators.storage.filesystem import local_path, open_filesystem, open_reading, storage_errors
from operators.storage.local import TEMPORARY, create_locally, publish_locally

READS_AT_ONCE = 16


@dataclass(frozen=True)
class Place:
    """A folder of an output artifact, known by its address. It can be pickled: every process opens its own filesystem.

    Names are relative to the folder, with "/" between. A missing name raises FileNotFoundError. All else that the storage
    cannot do raises StorageRefusal or, after patience (see storage/s3.py), StorageFailure.
    """

    url: str
    storage: StorageConfig

    def __post_init__(self):
        # Absolute, because workers run in other folders.
        object.__setattr__(self, "url", local_path(self.url) or self.url.rstrip("/"))

    def _at(self, name: str) -> tuple["AbstractFileSystem", str]:
        filesystem, root = open_filesystem(self.url, self.storage)
        return filesystem, f"{root}/{name}".rstrip("/")

    def publish(self, name: str, data: bytes) -> None:
        """Put a file there, whole or not at all: readers see the old bytes or the new, whatever is killed when."""
        with self._refusals_told(name):
            if root := local_path(self.url):
                return publish_locally(f"{root}/{name}", data)
            filesystem, path = self._at(name)
            filesystem.pipe_file(path, data)

    def create(self, name: str, data: bytes) -> bool:
        """Put a file there like `publish`, but only if there is none of that name; False where there was one.

        Of two writers one is told True. On S3 the other is too if it brings the very same bytes, and on a store or a disk
        that cannot decide between two (see storage/s3.py, _link) both may be told so and the bytes of one stay, whole.
        """
        with self._refusals_told(name):
            if root := local_path(self.url):
                return create_locally(f"{root}/{name}", data)
            filesystem, path = self._at(name)
            return filesystem.create(path, data)

    def read(self, name: str) -> bytes:
        with self._refusals_told(name):
            filesystem, path = self._at(name)
            return filesystem.cat_file(path)

    def read_all(self, names: Sequence[str]) -> list[bytes]:
        """Read many small files, several at a time, in the order of their names."""
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            return list(pool.map(self.read, names))

    def open(self, name: str) -> BinaryIO:
        """Open a file for pyarrow, which reads only the parts it needs."""
        with self._refusals_told(name):
            return open_reading(f"{self.url}/{name}", self.storage, read_ahead=False)

    def names(self, folder: str = "") -> list[str]:
        """Sorted names (relative to the place) of the files that lie directly in a folder; none where it is missing."""
        return self._listed(folder, "file")

    def folders(self, folder: str = "") -> list[str]:
        """Sorted names (relative to the place) of the folders that lie directly in a folder; none where it is missing."""
        return self._listed(folder, "directory")

    def _listed(self, folder: str, kind: str) -> list[str]:
        with self._refusals_told(folder):
            filesystem, path = self._at(folder)
            try:
                entries = filesystem.ls(path, detail=True)
            except FileNotFoundError:
                return []
        names = (entry["name"].rpartition("/")[2] for entry in entries if entry["type"] == kind)
        # Without a name is the mark that some tools put on S3 for an empty folder.
        return sorted(f"{folder}/{name}".lstrip("/") for name in names if name and not name.startswith("."))

    def leftovers(self, folder: str) -> list[str]:
        """Name the files of a folder that were being written when their writer was killed. Only disks have them."""
        path = local_path(self.url)
        there = Path(path, folder).glob(".*.tmp") if path else ()
        return sorted(f"{folder}/{file.name}" for file in there if TEMPORARY.fullmatch(file.name))

    def exists(self, name: str) -> bool:
        with self._refusals_told(name):
            filesystem, path = self._at(name)
            return filesystem.exists(path)

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is no error."""
        with self._refusals_told(name), suppress(FileNotFoundError):
            filesystem, path = self._at(name)
            filesystem.rm_file(path)

    def remove_folder(self, folder: str) -> None:
        """Remove the files that lie directly in a folder, and the folder with them."""
        for name in self.names(folder):
            self.remove(name)
        if path := local_path(self.url):
            with suppress(OSError):  # others have put something there
                Path(path, folder).rmdir()

    @contextmanager
    def _refusals_told(self, name: str) -> Iterator[None]:
        """Say in plain words that access is denied, a disk is full and the like: in a place of ours it is nobody else's fault."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageRefusal(
                f"{self.url}/{name}: {error}. Mend that; the same command goes on from what is committed."
            ) from error

    def check_writable(self) -> None:
        """Publish and remove a small file. Raises BadRequest naming the place and the reason when that fails."""
        if self.url.startswith("hf://"):
            raise BadRequest(f"cannot write to {self.url}: the hub is only read from. Use a local folder or s3://.")
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            self.publish(probe, b"")
            self.remove(probe)
        except storage_errors() as error:
            cause = error.__cause__ if isinstance(error, StorageRefusal) else error
            raise BadRequest(
                f"cannot write to {self.url}: {getattr(cause, 'strerror', None) or error}. Allow writing and removing files "
                "there (on S3 the bucket must exist and credentials be set), or choose another folder."
            ) from error
