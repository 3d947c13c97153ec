"""The loss of a model on rows that it is not trained on."""

from dataclasses import dataclass

import pyarrow as pa
import torch

from operators.learn.training.data.feeding import take
from operators.learn.training.data.order import slices
from operators.learn.training.objective import Objective, on_device
from operators.learn.training.parallel import World, free
from operators.tokens.rows import rows_of


@dataclass(frozen=True)
class Evaluation:
    """The mean loss in nats per token over `tokens` defined targets; NaN where there are none."""

    loss: float
    tokens: int


@torch.no_grad()
def evaluate(objective: Objective, packed: pa.Table, world: World, micro_rows: int) -> Evaluation:
    """Measure the loss of the rows of a packed table, which all ranks hold; they share the work."""
    rows = rows_of(packed)
    total, tokens = 0.0, 0
    training = objective.training
    objective.eval()
    for samples in slices(0, len(rows.ids), world.size, micro_rows)[world.rank]:
        batch = take(rows, list(samples) or [0])
        defined_BT = torch.from_numpy(batch.defined_BT).to(world.device) & bool(samples)
        nll_BT = objective(on_device(batch, world.device))
        total += float(nll_BT[defined_BT].double().sum())
        tokens += int(defined_BT.sum())
    objective.train(training)
    free(objective)
    total, tokens = world.sum([total, tokens])
    return Evaluation(total / tokens if tokens else float("nan"), int(tokens))
