"""Score packed rows with one or several reference models.

Shapes: R rows of T tokens.
"""

import os

import numpy as np
import pyarrow as pa

from operators.learn.score.base import NotFiniteScore, Reference, ScoreConfig, Server, score_columns
from operators.tokens.rows import PackedRows, Packing, checksums, rows_of


class Scorer:
    """Turn packed rows into scores: for each token -log P(token | what stands before it) of every reference.

    Reads a packed part. Returns `id` and `checksum` (of the row's tokens) and, for each reference, lists as long as a row, of
    the type `config.saved`, named by `score_columns`; NaN where there is nothing to predict. References are local folders,
    names on the Hugging Face hub, or servers; the constructor loads them. Raises BadRequest for a reference that does not fit
    the rows, and NotFiniteScore, which names the rows, where one gives no number. Source: Rho-1, arXiv:2404.07965, equation 2.
    """

    def __init__(self, config: ScoreConfig, references: list[str | Server]):
        self.config = config
        self.references = [_reference(config, each) for each in references]
        self._checked: Packing | None = None

    def check(self, packing: Packing) -> None:
        """Raise BadRequest unless every reference can score rows packed like this."""
        if packing != self._checked:
            for reference in self.references:
                reference.check(packing)
            self._checked = packing

    def __call__(self, table: pa.Table) -> pa.Table:
        rows = rows_of(table)
        self.check(rows.packing)
        scored = [(each.name, scores_RT) for each in self.references for scores_RT in each.score(rows)]
        names = score_columns(len(self.references), self.config.entropy)
        columns = {"id": pa.array(rows.ids, pa.string()), "checksum": pa.array(checksums(rows.tokens_RT), pa.uint64())}
        for name, (reference, scores_RT) in zip(names, scored, strict=True):
            columns[name] = _column(rows, scores_RT, self.config.saved, reference, name)
        return pa.table(columns)


def _reference(config: ScoreConfig, reference: str | Server) -> Reference:
    if isinstance(reference, Server):
        from operators.learn.score.endpoint import EndpointReference

        return EndpointReference(config, reference)
    # Threads that spin while they wait lose most of their throughput where another process wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from operators.learn.score.local import LocalReference

    return LocalReference(config, reference)


def _column(rows: PackedRows, scores_RT: np.ndarray, saved: str, reference: str, name: str) -> pa.Array:
    with np.errstate(over="ignore"):
        saved_RT = scores_RT.astype(saved)
    bad_R = (rows.defined_RT & ~np.isfinite(saved_RT)).any(axis=1)
    if bad_R.any():
        raise NotFiniteScore(reference, name, [rows.ids[row] for row in np.flatnonzero(bad_R)])
    return pa.FixedSizeListArray.from_arrays(pa.array(saved_RT.reshape(-1)), rows.packing.window)
