"""The texts on the page of `dynamics`: the first packed rows, with the class of each token and whether a loss would keep it."""

from collections.abc import Iterator

import numpy as np

from operators.learn.dynamics.classes import classify
from operators.learn.dynamics.page import SampleText
from operators.learn.dynamics.statistics import TokenStatistics
from operators.learn.losses.config import LossConfig
from operators.tokens.rows import flat, rows_of
from pipelines.dynamics.tasks import losses_of
from pipelines.ledger.records import Part
from pipelines.pack.artifact import PackedArtifact
from pipelines.score.artifact import ScoreArtifact

SHOWN = slice(0, 600)  # tokens of a row


def samples(
    packed: PackedArtifact,
    losses: list[ScoreArtifact],
    reference: ScoreArtifact | None,
    loss: LossConfig,
    threshold: float,
    mean_last: float,
    count: int,
) -> Iterator[SampleText]:
    """Give the first `count` rows of the first shard."""
    shard = packed.shards[0]
    rows = rows_of(packed.load(shard).slice(0, count))
    losses_XRT = [losses_of(artifact, shard)[: len(rows.ids)] for artifact in losses]
    statistics = TokenStatistics(rows.tokens_RT.shape)
    for losses_RT in losses_XRT:
        statistics.add(losses_RT)
    classes = classify(statistics, mean_last, threshold)
    kept_RT = _kept(reference, shard, loss, rows.defined_RT, losses_XRT[-1]) if reference else None
    for row, name in enumerate(rows.ids):
        arrays = (rows.tokens_RT, classes.code, losses_XRT[0], losses_XRT[-1], classes.change)
        kept_T = None if kept_RT is None else kept_RT[row, SHOWN]
        yield SampleText(name, *(values[row, SHOWN] for values in arrays), kept_T)


def _kept(
    reference: ScoreArtifact, shard: Part, loss: LossConfig, defined_RT: np.ndarray, last_RT: np.ndarray
) -> np.ndarray:
    """Tell which tokens a loss would train on at the last checkpoint."""
    from operators.learn.losses.kept_tokens import kept_tokens

    scores = reference.load(shard).slice(0, len(defined_RT))
    columns = {name: flat(scores[name]).reshape(defined_RT.shape) for name in reference.columns}
    return kept_tokens(loss, defined_RT, columns, last_RT, reference.references)
