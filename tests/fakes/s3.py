"""An S3 service of our own: moto's server, a real process on a free port of the loopback."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from operators.storage.config import StorageConfig
from operators.storage.filesystem import open_filesystem

KEYS = {"AWS_ACCESS_KEY_ID": "test-key", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def running_s3() -> Iterator[StorageConfig]:
    """Give the settings of a running S3 service; the bucket `corpus` is there and empty. Its keys are in the environment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kept = {name: os.environ.get(name) for name in KEYS}
    os.environ.update(KEYS)
    try:
        _wait_for(port, server)
        storage = StorageConfig(endpoint_url=f"http://127.0.0.1:{port}")
        open_filesystem("s3://corpus", storage)[0].mkdir("corpus")
        yield storage
    finally:
        server.kill()
        server.wait()
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _wait_for(port: int, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the S3 service did not start")
