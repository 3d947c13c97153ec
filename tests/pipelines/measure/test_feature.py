from types import SimpleNamespace

import pytest

from operators.select.measure.base import ModelConfig
from operators.select.measure.lengths import LengthsConfig
from operators.select.measure.sentence import SentenceConfig
from operators.storage.config import StorageConfig
from pipelines.ledger.records import Part
from pipelines.measure.feature import Feature
from pipelines.measure.job import MeasureJob
from pipelines.measure.pipeline import MeasureRows


@pytest.mark.parametrize(
    ("block", "may"),
    [
        (ModelConfig(path="m"), True),
        (ModelConfig(path="m", device="cpu"), False),
        (SentenceConfig(), True),
        (SentenceConfig(device="cpu"), False),
        (LengthsConfig(), False),
    ],
)
def test_what_has_a_device_may_use_a_gpu_unless_it_is_told_to_stay_on_the_processor(block, may):
    assert Feature("f", "m:M", (block,)).may_use_gpu == may


@pytest.mark.parametrize(("parts", "claimed"), [(1, 1), (3, 3), (20, 8)])
def test_no_more_is_claimed_than_there_are_parts_to_measure(parts, claimed, monkeypatch):
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": 64.0, "GPU": 8.0}}])
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 64.0, "GPU": 8.0})
    pool = SimpleNamespace(parts=[Part(f"data/{n}", 5, 5, f"{n:032}") for n in range(parts)], key="k")
    feature = Feature("f", "m:M", (ModelConfig(path="m"),))
    assert feature.claims(None).all()["GPU"] == 8  # as its stage tells, before the pool is read
    measure = MeasureRows(MeasureJob("f", storage=StorageConfig()), feature, pool, "features")
    assert measure.claims.all()["GPU"] == claimed
