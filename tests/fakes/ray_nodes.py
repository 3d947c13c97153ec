"""A Ray cluster of three nodes on this machine, in a process of its own; its nodes may be killed and replaced.

    python -m tests.fakes.ray_nodes

It prints its state as one line of JSON, and again for every line it reads, after adding the nodes that are missing.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NODES, NODE = 3, {"num_cpus": 1, "object_store_memory": 80 * 2**20}
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Seconds after which a driver or a worker gives up a head that is gone: 60 by default, too long to wait for each kill.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "8",
    # Sooner than Ray's 10 to 25 s, for the same reason: a node that is silent for some 6 s counts as dead.
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}


class Nodes:
    """The cluster's process, as the one who started it sees it."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.ray_nodes"],
            cwd=ROOT,
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._listen()

    def _listen(self) -> None:
        state = self.process.stdout.readline()
        if not state:
            raise RuntimeError("the cluster's process ended; python -m tests.fakes.ray_nodes shows why")
        self.address, self.head, self.raylets = json.loads(state).values()

    def mend(self) -> None:
        """Replace the dead nodes, and wait until the new ones are there."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self._listen()


def state(cluster) -> str:
    """Give the address, the pids of the head's own processes, and the raylets' of the other nodes."""
    head = [cluster.head_node.all_processes[name][0].process.pid for name in ("raylet", "gcs_server")]
    return json.dumps({"address": cluster.address, "head": head, "raylets": list(map(_raylet, cluster.worker_nodes))})


def _raylet(node) -> int:
    return node.all_processes["raylet"][0].process.pid


def mend(cluster) -> None:
    for node in list(cluster.worker_nodes):
        if node.dead_processes():
            node.kill_all_processes(check_alive=False, allow_graceful=False)
            cluster.worker_nodes.remove(node)
    while len(cluster.worker_nodes) < NODES - 1:
        cluster.add_node(**NODE)


def main() -> None:
    from ray.cluster_utils import Cluster

    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Ray prints must not stand between the states
    cluster = Cluster(initialize_head=True, head_node_args=NODE | {"gcs_server_port": 0, "include_dashboard": False})
    mend(cluster)
    print(state(cluster), file=told, flush=True)
    for _ in sys.stdin:
        mend(cluster)
        print(state(cluster), file=told, flush=True)


if __name__ == "__main__":
    main()
