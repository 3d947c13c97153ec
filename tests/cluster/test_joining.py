import json
import os
import socket
import subprocess
import sys

import pytest

from cluster import joining
from cluster.errors import NoCluster
from cluster.joining import prepare_to_join
from tests.fakes.ray_head import running_head

JOIN = """
import json, sys
from cluster.errors import NoCluster
from cluster.session import ClusterConfig, session
try:
    with session(ClusterConfig(address=sys.argv[1])):
        import ray
        print(json.dumps(ray.cluster_resources()["CPU"]))
except NoCluster as error:
    print(json.dumps(str(error)))
"""
CHANGE_VERSION = """
import json, sys
from ray._private.ray_constants import KV_NAMESPACE_CLUSTER
from ray._raylet import GcsClient
client = GcsClient(address=sys.argv[1])
facts = json.loads(client.internal_kv_get(b"CLUSTER_METADATA", namespace=KV_NAMESPACE_CLUSTER))
told = json.dumps(facts | {"ray_version": "2.41.0"}).encode()
client.internal_kv_put(b"CLUSTER_METADATA", told, True, namespace=KV_NAMESPACE_CLUSTER)
"""


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text("5" * 32)
    return path


@pytest.fixture(scope="module")
def head(token):
    with running_head(token) as address:
        yield address


def python(script: str, address: str, folder, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    inherited |= {"HOME": str(folder)}  # where Ray looks for a token
    words = [sys.executable, "-c", script, address]
    run = subprocess.run(words, env=inherited | environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.ray
def test_a_cluster_that_asks_for_a_token_is_shown_the_one_that_is_here_or_the_reason_is_told(head, token, tmp_path):
    (tmp_path / "wrong").write_text("6" * 32)
    told = {
        "is shown": {"RAY_AUTH_TOKEN_PATH": str(token)},
        "was told": {"RAY_AUTH_TOKEN_PATH": str(token), "RAY_AUTH_MODE": "token"},
        "refuses the token that is here": {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "wrong")},
        "there is none here": {},
        "RAY_AUTH_MODE=disabled here. Unset it": {"RAY_AUTH_MODE": "disabled"},
    }
    answers = [json.loads(python(JOIN, head, tmp_path, **environment)) for environment in told.values()]
    assert answers[:2] == [1.0, 1.0]
    for reason, answer in list(zip(told, answers, strict=True))[2:]:
        assert answer.startswith(f"cluster.address={head}: ") and reason in answer and "\n" not in answer

    python(CHANGE_VERSION, head, tmp_path, RAY_AUTH_TOKEN_PATH=str(token), RAY_AUTH_MODE="token")
    other = json.loads(python(JOIN, head, tmp_path, RAY_AUTH_TOKEN_PATH=str(token)))
    assert "Version mismatch" in other and "2.41.0" in other and "\n" not in other


@pytest.mark.parametrize("address", ["nonsense", "host", "host:", ":6379", "host:port", "host:0", "host:99999"])
def test_an_address_that_is_none_is_answered_with_the_form_of_one(address):
    with pytest.raises(NoCluster, match=r"Give auto .* or HOST:PORT"):
        prepare_to_join(address)


def test_a_name_that_is_none_and_a_port_at_which_nothing_answers_are_told_apart():
    with pytest.raises(NoCluster, match=r"no machine is known by the name 'nowhere\.invalid'"):
        prepare_to_join("nowhere.invalid:6379")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(NoCluster, match=r"nothing answers there .*refused"):
            prepare_to_join(f"127.0.0.1:{bound.getsockname()[1]}")


def test_a_machine_outside_of_the_cluster_is_told_how_to_get_in(monkeypatch):
    class Head:
        def get_all_node_info(self, timeout: float) -> dict[bytes, str]:
            return {b"\x01": "a node elsewhere"}

    monkeypatch.setattr("ray._private.services.find_node_ids", lambda: ["02"])
    with pytest.raises(NoCluster, match=r"no node of that cluster.*ray start --address=host:6379"):
        joining._require_node_here(Head(), "host:6379")
