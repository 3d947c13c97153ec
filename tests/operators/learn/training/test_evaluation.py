import math

import pytest
import torch

from operators.learn.training.evaluation import evaluate
from operators.learn.training.model import build_model
from operators.learn.training.objective import Objective
from operators.learn.training.parallel import World
from operators.tokens.rows import rows_of
from tests.operators.learn.training.small import PACKING, TINY, packed

pytestmark = pytest.mark.model
ALONE = World(0, 1, torch.device("cpu"))


def test_the_loss_is_the_mean_over_the_tokens_of_each_document_read_alone():
    model, table = build_model(TINY, PACKING, seed=3), packed(4)
    rows, losses = rows_of(table), []
    for row, begin, end in rows.segments():
        tokens = torch.from_numpy(rows.tokens_RT[row, begin:end].astype("int64"))
        if end - begin > 1 and rows.targets_RT[row, begin + 1 : end].all():
            with torch.no_grad():
                logits = model(input_ids=tokens[None]).logits[0, :-1].double()
            losses += torch.nn.functional.cross_entropy(logits, tokens[1:], reduction="none").tolist()
    for micro_rows in (1, 4):
        evaluation = evaluate(Objective(model), table, ALONE, micro_rows)
        assert evaluation.tokens == len(losses)
        assert evaluation.loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert model.training


def test_a_table_without_rows_has_no_loss():
    evaluation = evaluate(Objective(build_model(TINY, PACKING, seed=3)), packed(4).slice(0, 0), ALONE, 4)
    assert evaluation.tokens == 0 and math.isnan(evaluation.loss)
