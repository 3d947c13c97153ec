"""Where bytes lie: local folders, S3 and the Hugging Face hub. Credentials are never read, kept or printed."""

import errno
import os
import re
import sys
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

READ_AHEAD = 8 * 2**20  # bytes


READS_AT_ONCE = 16


TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")  # the name of a file that is being written


NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


def local_path(url: str) -> str | None:
    """Return the absolute path of a local address, null for an address elsewhere."""
    if "://" not in url:
        return os.path.abspath(os.path.expanduser(url))
    return os.path.abspath(url[7:]) if url.startswith("file://") else None


def open_filesystem(url: str, storage: StorageConfig) -> tuple["AbstractFileSystem", str]:
    """Return the filesystem of an address and the path in it. Raises BadRequest for an unknown kind of storage."""
    if path := local_path(url):
        from fsspec.implementations.local import LocalFileSystem

        return LocalFileSystem(), path
    scheme, _, path = url.partition("://")
    if scheme == "s3":
        if "@" in path.split("/")[0]:
            raise BadRequest(
                "an s3:// address with a key in it was given. Put the credentials into AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, and write s3://BUCKET/PATH."
            )
        from operators.storage.s3 import connect

        return connect(storage), path.rstrip("/")
    if scheme == "hf":
        from huggingface_hub import HfFileSystem

        return HfFileSystem(), path.rstrip("/")
    raise BadRequest(f"no storage for {url!r}. There are: local paths, s3://BUCKET/PATH, hf://datasets/OWNER/NAME.")


def open_reading(url: str, storage: StorageConfig, read_ahead: bool = True, version: str = "") -> BinaryIO:
    """Open a file for reading, for pyarrow too. Without `read_ahead` only what is asked for is fetched.

    `version` is what a listing told; an object of S3 that is another one by now raises StorageFailure.
    """
    if path := local_path(url):
        return open(path, "rb")
    filesystem, path = open_filesystem(url, storage)
    handle = filesystem.open(path, "rb", block_size=READ_AHEAD, cache_type="readahead" if read_ahead else "none")
    if version and url.startswith("s3://"):
        handle.require(version)
    return handle


class Watched:
    """A file that remembers a failure of its storage, because pyarrow raises OSError for broken contents too."""

    def __init__(self, handle: BinaryIO):
        self._handle, self._failure = handle, None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._handle.read(size)
        except Exception as error:
            self._failure = error
            raise

    def __getattr__(self, name: str):
        return getattr(self._handle, name)

    def raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def storage_errors() -> tuple[type[Exception], ...]:
    """The exceptions that the storages in use raise for being unreachable, closed or empty: of use before a run begins."""
    kinds = (("botocore.exceptions", "BotoCoreError"), ("httpx", "HTTPError"), ("httpx2", "HTTPError"))
    return (
        OSError,
        StorageRefusal,
        *(getattr(sys.modules[module], name) for module, name in kinds if module in sys.modules),
    )


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
                return _publish_locally(f"{root}/{name}", data)
            filesystem, path = self._at(name)
            filesystem.pipe_file(path, data)

    def create(self, name: str, data: bytes) -> bool:
        """Put a file there like `publish`, but only if there is none of that name; False where there was one.

        Of two writers one is told True. On S3 the other is too if it brings the very same bytes, and on a store or a disk
        that cannot decide between two (see storage/s3.py, _link) both may be told so and the bytes of one stay, whole.
        """
        with self._refusals_told(name):
            if root := local_path(self.url):
                return _create_locally(f"{root}/{name}", data)
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


def _publish_locally(path: str, data: bytes) -> None:
    with _written_aside(path, data) as temporary:
        os.replace(temporary, path)
    _sync_folder(os.path.dirname(path))


def _create_locally(path: str, data: bytes) -> bool:
    with _written_aside(path, data) as temporary:
        created = _link(temporary, path)
    _sync_folder(os.path.dirname(path))
    return created


@contextmanager
def _written_aside(path: str, data: bytes) -> Iterator[str]:
    """Write a hidden file beside a path, for good, and give its path; what is left of it at the end is removed."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    temporary = f"{folder}/.{uuid.uuid4().hex}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _link(temporary: str, path: str) -> bool:
    """Give a file a second name, unless there is one of that name: False then."""
    try:
        os.link(temporary, path)
        return True
    except FileExistsError:
        # Over NFS an answer may be lost and the link asked for twice: the number of names tells that it is ours.
        return os.stat(temporary).st_nlink == 2
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
    # The file still comes whole or not at all, but of two writers at the same moment the later one wins, and both hear True.
    if os.path.lexists(path):
        return False
    os.replace(temporary, path)
    return True


def _sync_folder(folder: str) -> None:
    """Make a new name outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
