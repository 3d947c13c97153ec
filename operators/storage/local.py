"""Files on a disk of this machine, whole or not at all, whatever is killed when."""

import errno
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")  # the name of a file that is being written
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


def publish_locally(path: str, data: bytes) -> None:
    with _written_aside(path, data) as temporary:
        os.replace(temporary, path)
    _sync_folder(os.path.dirname(path))


def create_locally(path: str, data: bytes) -> bool:
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
