"""Where bytes lie: local folders, S3 and the Hugging Face hub. Credentials are never read, kept or printed."""

import os
import sys
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from operators.errors import BadRequest
from operators.settings import setting

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

READ_AHEAD = 8 * 2**20  # bytes


@dataclass
class StorageConfig:
    endpoint_url: str | None = setting(
        None, "address of the S3 service; null: AWS_ENDPOINT_URL, else Amazon's own", identity=False
    )
    anonymous: bool = setting(False, "read S3 without credentials, as public buckets allow", identity=False)


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
        return _s3(storage), path.rstrip("/")
    if scheme == "hf":
        from huggingface_hub import HfFileSystem

        return HfFileSystem(), path.rstrip("/")
    raise BadRequest(f"no storage for {url!r}. There are: local paths, s3://BUCKET/PATH, hf://datasets/OWNER/NAME.")


def _s3(storage: StorageConfig) -> "AbstractFileSystem":
    from s3fs import S3FileSystem

    return S3FileSystem(
        anon=storage.anonymous,
        endpoint_url=storage.endpoint_url,
        use_listings_cache=False,
        config_kwargs={
            "connect_timeout": 10,
            "read_timeout": 60,
            "retries": {"mode": "standard", "max_attempts": 8},
            # S3-compatible servers often know no trailing checksums, which botocore would send and ask for by default.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
    )


def open_reading(url: str, storage: StorageConfig, read_ahead: bool = True) -> BinaryIO:
    """Open a file for reading, for pyarrow too. Without `read_ahead` only what is asked for is fetched."""
    if path := local_path(url):
        return open(path, "rb")
    filesystem, path = open_filesystem(url, storage)
    return filesystem.open(path, "rb", block_size=READ_AHEAD, cache_type="readahead" if read_ahead else "none")


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
    """The exceptions that the storages in use raise for being unreachable, closed or empty."""
    kinds = (("botocore.exceptions", "BotoCoreError"), ("httpx", "HTTPError"), ("httpx2", "HTTPError"))
    return (OSError, *(getattr(sys.modules[module], name) for module, name in kinds if module in sys.modules))


@dataclass(frozen=True)
class Place:
    """A folder of an output artifact, known by its address. It can be pickled: every process opens its own filesystem.

    Names are relative to the folder, with "/" between. A missing name raises FileNotFoundError.
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
        if root := local_path(self.url):
            return _publish_locally(f"{root}/{name}", data)
        filesystem, path = self._at(name)
        filesystem.pipe_file(path, data)

    def read(self, name: str) -> bytes:
        filesystem, path = self._at(name)
        return filesystem.cat_file(path)

    def open(self, name: str) -> BinaryIO:
        """Open a file for pyarrow, which reads only the parts it needs."""
        return open_reading(f"{self.url}/{name}", self.storage, read_ahead=False)

    def names(self, folder: str = "") -> list[str]:
        """Sorted names (relative to the place) of the files that lie directly in a folder; none where it is missing."""
        filesystem, path = self._at(folder)
        try:
            entries = filesystem.ls(path, detail=True)
        except FileNotFoundError:
            return []
        files = (entry["name"].rpartition("/")[2] for entry in entries if entry["type"] == "file")
        return sorted(f"{folder}/{name}".lstrip("/") for name in files if not name.startswith("."))

    def exists(self, name: str) -> bool:
        filesystem, path = self._at(name)
        return filesystem.exists(path)

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is no error."""
        filesystem, path = self._at(name)
        try:
            filesystem.rm_file(path)
        except FileNotFoundError:
            return

    def check_writable(self) -> None:
        """Publish and remove a small file. Raises BadRequest naming the place and the reason when that fails."""
        if self.url.startswith("hf://"):
            raise BadRequest(f"cannot write to {self.url}: the hub is only read from. Use a local folder or s3://.")
        probe = f".probe-{uuid.uuid4().hex}"
        try:
            self.publish(probe, b"")
            self.remove(probe)
        except storage_errors() as error:
            raise BadRequest(
                f"cannot write to {self.url}: {error}. Allow writing and removing files there (on S3 the bucket must "
                "exist and credentials be set), or choose another folder."
            ) from error


def _publish_locally(path: str, data: bytes) -> None:
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    temporary = f"{folder}/.{uuid.uuid4().hex}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Make a rename outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
