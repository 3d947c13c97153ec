"""The tasks of `dynamics`: a shard's losses at every checkpoint become classes, and counts that add up over the shards."""

import math

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.learn.dynamics.classes import CLASSES, ClassTotals, LossCurves, classify, curves_of, totals_of
from operators.learn.dynamics.statistics import TokenStatistics
from operators.tokens.rows import flat
from pipelines.counts import Counts
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.artifacts import shard_key
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.publish import publish_part, table_name
from pipelines.ledger.records import Commit, Part
from pipelines.ledger.spans import WHOLE
from pipelines.pack.artifact import PackedArtifact
from pipelines.score.artifact import ScoreArtifact


def classify_shard(
    arguments: tuple[PackedArtifact, list[ScoreArtifact], float, float, Ledger, Reporter], shard: Part
) -> None:
    """Classify the tokens of a shard and commit that. In memory are four sums a token and the losses of one checkpoint."""
    packed, losses, mean_last, threshold, ledger, report = arguments
    with report.explaining():
        if not ledger.current():
            raise ledger.lost()
        statistics = TokenStatistics((shard.rows, packed.packing.window))
        for artifact in losses:
            statistics.add(losses_of(artifact, shard))
        classes = classify(statistics, mean_last, threshold)
        totals, curves = (
            totals_of(classes),
            curves_of(classes.code, (losses_of(artifact, shard) for artifact in losses)),
        )
        columns = {
            "class": classes.code,
            "change": classes.change.astype(np.float32),
            "variance": classes.variance.astype(np.float32),
        }
        lists = {
            name: pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), packed.packing.window)
            for name, values in columns.items()
        }
        table = pa.table({"id": losses[0].load(shard)["id"]} | lists)
        part = publish_part(ledger, table_name(ledger, "data", "arrow"), table)
        counts = {
            "kept": {"classified": shard.rows},
            "classes": {name: _sums(totals, c) for c, name in enumerate(CLASSES)},
            "curves": {
                str(x): dict(zip(CLASSES, sums_C.tolist(), strict=True)) for x, sums_C in enumerate(curves.sums_XC)
            },
        }
        number = int(shard.checksum[:12], 16)
        ledger.commit(f"shard-{number}", Commit([part], {shard_key(shard): [WHOLE]}, counts))
        report.add({"settled": {"kept": shard.rows}})


def _sums(totals: ClassTotals, c: int) -> dict[str, float]:
    """Give the sums of one class, as counts that add up; two checkpoints have no variance."""
    sums = {"tokens": int(totals.tokens_C[c]), "change": float(totals.change_C[c])}
    return sums | ({"variance": float(totals.variance_C[c])} if math.isfinite(totals.variance_C[c]) else {})


def totals_from(counts: Counts) -> ClassTotals:
    classes = [counts["classes"][name] for name in CLASSES]
    return ClassTotals(
        *(np.array([one.get(key, math.nan) for one in classes]) for key in ("tokens", "change", "variance"))
    )


def curves_from(counts: Counts, checkpoints: int) -> LossCurves:
    sums = [[counts["curves"][str(x)][name] for name in CLASSES] for x in range(checkpoints)]
    return LossCurves(totals_from(counts).tokens_C, np.array(sums))


def losses_of(artifact: ScoreArtifact, shard: Part) -> np.ndarray:
    """Give the losses of a shard at one checkpoint: float32 (R, T)."""
    table = artifact.load(shard)
    return flat(table[artifact.columns[0]]).reshape(shard.rows, -1).astype(np.float32)


def mean_loss(artifact: ScoreArtifact, packed: PackedArtifact) -> float:
    """Give the mean loss of all tokens, shard by shard."""
    total, tokens = 0.0, 0
    for shard in packed.shards:
        losses = losses_of(artifact, shard).astype(np.float64)
        total, tokens = total + np.nansum(losses), tokens + int(np.isfinite(losses).sum())
    if not tokens:
        raise BadRequest(f"no token of {packed.place.url} has a prediction, so there is nothing to classify.")
    return total / tokens
