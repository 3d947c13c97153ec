"""A file that remembers a failure of its storage."""

from typing import BinaryIO


class Watched:
    """A file that remembers a failure of its storage, because readers raise OSError and more for broken contents too."""

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
        """Raise what the storage failed with, if it did: then no file is to blame."""
        if self._failure is not None:
            raise self._failure
