"""Where bytes lie: local folders, S3 and the Hugging Face hub. Credentials are never read, kept or printed."""

import os
import re
import sys
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote_to_bytes

from operators.errors import BadRequest, StorageRefusal
from operators.storage.config import StorageConfig

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

READ_AHEAD = 8 * 2**20  # bytes
FILE_ADDRESS = re.compile(r"file:(?://(?:localhost)?)?(/(?!/).*)", re.IGNORECASE | re.DOTALL)


def local_path(url: str) -> str | None:
    """Return the absolute path of a local address, null for an address elsewhere. Source of file: addresses: RFC 8089."""
    if address := FILE_ADDRESS.match(url):
        return os.path.abspath(os.fsdecode(unquote_to_bytes(address[1])))
    return None if "://" in url else os.path.abspath(os.path.expanduser(url))


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
    raise BadRequest(
        f"no storage for {url!r}. There are: local paths, file:///PATH, s3://BUCKET/PATH, hf://datasets/OWNER/NAME."
    )


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


def storage_errors() -> tuple[type[Exception], ...]:
    """The exceptions that the storages in use raise for being unreachable, closed or empty: of use before a run begins."""
    kinds = (("botocore.exceptions", "BotoCoreError"), ("httpx", "HTTPError"), ("httpx2", "HTTPError"))
    return (
        OSError,
        StorageRefusal,
        *(getattr(sys.modules[module], name) for module, name in kinds if module in sys.modules),
    )
