"""Real and synthetic text in the proportion that was asked for."""

import math
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.errors import BadRequest
from operators.settings import setting
from operators.table import ORIGINAL, living, reject, rewrites, text_tokens


@dataclass
class MixConfig:
    """How much real text stands beside the rewrites. WRAP, arXiv:2401.16380, section 3: 1:1 and combined 1:2."""

    real: float = setting(1.0, "parts of real text (whole documents, style=original); 0 for synthetic text only")
    synthetic: float = setting(1.0, "parts of synthetic text, all styles together")
    by: str = setting("tokens", "what a part counts: tokens or rows")
    seed: int = setting(0, "seed of the choice among the rows of the side that has too many")


class Mix:
    """Drop the surplus of the side that has too many rows, so that real : synthetic is as asked.

    Reads the rows of whole work orders; `styles` is the number of styles in which each passage was asked for. The surplus
    leaves with stage `mix`, reason `surplus`; the scarce side is kept whole. A document that goes on in other orders counts
    in each with the part of it that was rewritten there. Which rows go is drawn from their ids and the seed, so the same
    order always gives the same choice. The row on the border stays with the probability of the part of it that still fits:
    over many orders the proportion is met in expectation, whatever the lengths.
    """

    def __init__(self, config: MixConfig, styles: int = 1):
        if config.by not in ("tokens", "rows"):
            raise BadRequest(f"mix.by is {config.by!r}. It may be tokens or rows.")
        parts = config.real, config.synthetic
        if not all(0 <= part < math.inf for part in parts) or not any(parts):
            raise BadRequest(
                f"mix.real={config.real} and mix.synthetic={config.synthetic}: parts are numbers from 0, and not both are 0."
            )
        self.config, self.styles = config, styles

    def __call__(self, table: pa.Table) -> pa.Table:
        synthetic = rewrites(table)
        real = living(table) & ~synthetic
        size = self._sizes(table)
        there = {"real": self._real_here(table), "synthetic": size[synthetic].sum()}
        shares = {"real": self.config.real, "synthetic": self.config.synthetic}
        # What one part can be: the scarcer side decides.
        part = min((there[side] / share for side, share in shares.items() if share > 0), default=0.0)
        ids = table["id"].to_pylist()
        leaving = []
        for side, mask in (("real", real), ("synthetic", synthetic)):
            kept = part * shares[side] / there[side] if there[side] else 0.0
            leaving += self._surplus(np.flatnonzero(mask), size, kept * size[mask].sum(), ids)
        return reject(table, "mix", {int(row): ("surplus", self._detail()) for row in leaving})

    def _sizes(self, table: pa.Table) -> np.ndarray:
        """Give what each row counts for: 1, or its tokens."""
        return np.ones(len(table)) if self.config.by == "rows" else text_tokens(table)

    def _real_here(self, table: pa.Table) -> float:
        """Count the real text that was rewritten in this table, whole documents or parts of them, once for all styles."""
        asked = table.filter(pc.fill_null(pc.not_equal(table["style"], ORIGINAL), False))
        tokens = asked["source_tokens"].to_numpy().astype(float)
        whole = asked["document_tokens"].to_numpy() if self.config.by == "rows" else 1.0
        return float((tokens / whole).sum()) / self.styles

    def _surplus(self, rows: np.ndarray, size: np.ndarray, allowed: float, ids: list[str]) -> list[int]:
        draws = {row: self._draw(ids[row], "order") for row in rows}
        leaving, taken = [], 0.0
        for row in sorted(rows, key=draws.__getitem__):
            room = allowed - taken
            fits = size[row] <= room + 1e-6
            if fits or (room > 0 and self._draw(ids[row], "border") * size[row] < room):
                taken += size[row]
            else:
                leaving.append(row)
                taken += max(room, 0.0)
        return leaving

    def _draw(self, row_id: str, purpose: str) -> float:
        """Draw a number in [0, 1) that only the seed and the row decide."""
        digest = blake2b(f"{self.config.seed}\0{purpose}\0{row_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64

    def _detail(self) -> str:
        return f"real : synthetic is {self.config.real:g} : {self.config.synthetic:g} by {self.config.by}"
