"""A Ray cluster of one node on this machine that asks for a token, in a process of its own.

    python -m tests.fakes.ray_head

It prints its address, and ends with its input.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running_head(token: Path) -> Iterator[str]:
    """Run it with the token in a file; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.ray_head"],
        cwd=ROOT,
        env=os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.communicate(timeout=60)


def main() -> None:
    from ray.cluster_utils import Cluster

    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Ray prints must not stand before the address
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "gcs_server_port": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    print(cluster.address, file=told, flush=True)
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
