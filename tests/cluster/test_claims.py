import pytest

from cluster.claims import A_CPU, A_NODE, Claims, a_model_each


@pytest.mark.parametrize(
    ("claims", "each", "all_of_them"),
    [
        (A_CPU, {"CPU": 1, "GPU": 0}, {"CPU": 1, "GPU": 0}),
        (A_NODE, {"CPU": 4, "GPU": 0}, {"CPU": 4, "GPU": 0}),
        (a_model_each(None, may_use_gpu=True), {"CPU": 1, "GPU": 1}, {"CPU": 2, "GPU": 2}),
        (a_model_each(None, may_use_gpu=True, most=1), {"CPU": 1, "GPU": 1}, {"CPU": 1, "GPU": 1}),
        (a_model_each(None, may_use_gpu=False, most=1), {"CPU": 4, "GPU": 0}, {"CPU": 4, "GPU": 0}),
        (Claims(copies=1, gpus=None, cpus=None), {"CPU": 1, "GPU": 1}, {"CPU": 1, "GPU": 1}),
        (Claims(copies=2, gpus=False, cpus=None), {"CPU": 4, "GPU": 0}, {"CPU": 8, "GPU": 0}),
        (Claims(copies=4, gpus=False, cpus=None), {"CPU": 2, "GPU": 0}, {"CPU": 8, "GPU": 0}),
    ],
)
def test_what_is_claimed_of_two_nodes_of_four_cpus_and_a_gpu(claims, each, all_of_them, monkeypatch):
    nodes = [{"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}}] * 2
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 8.0, "GPU": 2.0})
    assert (claims.each(), claims.all()) == (each, all_of_them)
