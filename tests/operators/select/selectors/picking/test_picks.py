"""What selectors that read embeddings say of rows without one."""

import numpy as np
import pytest

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.clustered import Clustered, ClusteredConfig
from operators.select.selectors.deita import Deita, DeitaConfig
from operators.select.selectors.facility_location import FacilityLocation, FacilityLocationConfig
from operators.select.selectors.k_center import KCenter, KCenterConfig
from operators.select.selectors.rds import Rds, RdsConfig
from tests.operators.select.selectors.pools import MemoryPool

EMBEDDED = {
    "k_center": lambda: KCenter(KCenterConfig()),
    "facility_location": lambda: FacilityLocation(FacilityLocationConfig()),
    "clustered": lambda: Clustered(ClusteredConfig(clusters=2, by="nearest")),
    "clustered as released": lambda: Clustered(ClusteredConfig(clusters=2, variant="as_released")),
    "deita": lambda: Deita(DeitaConfig(threshold=1.0)),
}


def pool_without(name: str, scores: bool = True) -> MemoryPool:
    """Ten rows, of which the scorer left out two as too long, could not read one, and gave one no number."""
    rows_ND = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
    rows_ND[[1, 4, 6, 8]] = np.nan
    reasons = [None, "too_long", None, "no_prompt", "too_long", None, "chat_template", None, None, None]
    columns = {f"{name}.reason": reasons}
    if scores:
        scored, told = [1.0, 2.0, None, None, *range(4, 10)], [None, None, "too_long", *[None] * 7]
        columns |= {"complexity": scored, "quality": scored, "complexity.reason": told, "quality.reason": told}
    return MemoryPool(columns, {name: rows_ND})


@pytest.mark.parametrize("name", EMBEDDED)
def test_rows_that_were_left_out_of_the_embedding_are_told_by_their_reason(name):
    left = {"too_long": 2, "chat_template": 1, "not_finite": 1}
    left = {"too_long": 3, "chat_template": 1, "not_finite": 1, "no_score": 1} if name == "deita" else left
    selector = EMBEDDED[name]()
    choice = selector(pool_without("embedding"), Budget(BudgetConfig(rows=2)))
    assert choice.excluded == left and "embedding.reason" in selector.reads
    if "released" not in name:
        with pytest.raises(BadRequest, match=r"could not be chosen: chat_template 1, .*too_long [23]"):
            selector(pool_without("embedding"), Budget(BudgetConfig(rows=9)))


def test_rows_of_a_target_that_were_left_out_are_told_by_their_reason_too():
    pool = pool_without("weighted_embedding", scores=False)
    choice = Rds(RdsConfig(), pool)(pool, Budget(BudgetConfig(rows=2)))
    assert choice.excluded == {"too_long": 2, "chat_template": 1, "not_finite": 1}
    assert {name: rows for name, rows in choice.notes.items() if name.startswith("target_rows_")} == {
        "target_rows_too_long": 2,
        "target_rows_chat_template": 1,
        "target_rows_not_finite": 1,
    }
