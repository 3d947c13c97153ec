"""Why a Ray cluster cannot be joined, found out before Ray tries: it says only that it failed, after half a minute."""

import os
import socket
from pathlib import Path
from typing import Any

from cluster.errors import NoCluster, in_a_line

MODE = "RAY_AUTH_MODE"
REACH_S = 10.0
TOKEN = "the token of the cluster (~/.ray/auth_token on its head; or set RAY_AUTH_TOKEN)"


def prepare_to_join(address: str) -> None:
    """See that Ray's head answers at an address HOST:PORT, and have this process show its token where the cluster asks for one.

    Raises NoCluster.
    """
    _reach(address)
    client = _admitted(address)
    _require_node_here(client, address)


def _reach(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise NoCluster(
            f"cluster.address is {address!r}. Give auto for the cluster on this machine, or HOST:PORT of the head of a cluster. "
            "Its port is 6379 unless it was started with another."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()
    except socket.gaierror as error:
        raise NoCluster(f"cluster.address={address}: no machine is known by the name {host!r}.") from error
    except OSError as error:
        raise NoCluster(
            f"cluster.address={address}: nothing answers there ({error}). Check that the cluster is up, and the port of its head."
        ) from error


def _admitted(address: str) -> Any:
    """Give a client of the head that it lets in. A token is shown only where one is asked for."""
    from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
    from ray.exceptions import AuthenticationError

    try:
        return _client(address)
    except AuthenticationError as error:
        mode = os.environ.get(MODE)
        if mode is not None and mode.lower() != "token":
            raise NoCluster(
                f"cluster.address={address}: the cluster asks for a token, and {MODE}={mode} here. Unset it, or set it to token."
            ) from error
        if mode is None and not maybe_enable_token_auth_if_token_available(warn_if_disabled=False):
            raise NoCluster(
                f"cluster.address={address}: the cluster asks for a token, and there is none here. Copy to "
                f"{Path.home()}/.ray/auth_token {TOKEN}."
            ) from error
    try:
        return _client(address)
    except AuthenticationError as error:
        raise NoCluster(
            f"cluster.address={address}: the cluster refuses the token that is here. Take {TOKEN}."
        ) from error


def _client(address: str) -> Any:
    from ray._raylet import GcsClient
    from ray.exceptions import RpcError

    try:
        return GcsClient(address=address)
    except RpcError as error:
        raise NoCluster(
            f"cluster.address={address}: what answers there is no head of a Ray cluster ({in_a_line(error)}). Its port is 6379 "
            "unless it was started with another; 8265 is the dashboard's, 10001 that of Ray's client."
        ) from error


def _require_node_here(client: Any, address: str) -> None:
    """Raise NoCluster where this machine is no node of the cluster: Ray would look for one for a minute."""
    from ray._private.services import find_node_ids

    if {node.hex() for node in client.get_all_node_info(timeout=REACH_S)}.isdisjoint(find_node_ids()):
        raise NoCluster(
            f"cluster.address={address}: this machine is no node of that cluster. Run the command on one that is, as `ray job "
            f"submit` does, or make it one: ray start --address={address}"
        )
