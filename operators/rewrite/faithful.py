"""Whether a rewrite says what its source says: by sentence embeddings, and by the numbers and names it keeps.

Shapes: N texts, E dimensions of an embedding.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.models.sentence_encoder import PACKAGED, SentenceEncoder, locate
from operators.rewrite.facts import lost_names, lost_numbers
from operators.settings import setting
from operators.table import reject, rewrites, spread, with_columns

STAGE = "faithful"
SETTING = "faithful.model"
SHOWN = 8  # lost numbers or names that a detail lists


@dataclass
class FaithfulConfig:
    """What a rewrite must keep of its source."""

    model: str = setting(PACKAGED, "sentence encoder: this packaged one, or a sentence-transformers name or folder")
    min_similarity: float | None = setting(
        None,
        "least cosine similarity of source and rewrite, -1 to 1; -1 measures and drops nothing, null does not measure",
    )
    keep_numbers: bool = setting(
        False, "drop a rewrite that loses numbers of its source (styles that select lose some)"
    )
    min_numbers_kept: float = setting(0.8, "keep_numbers: least share of the source's different numbers, 0 to 1")
    keep_names: bool = setting(False, "drop a rewrite that loses names of its source (capital words inside sentences)")
    min_names_kept: float = setting(0.5, "keep_names: least share of the source's different names, 0 to 1")
    batch_size: int = setting(64, "texts that the encoder takes at once", identity=False)
    device: str = setting("cpu", "where the encoder runs: cpu, or cuda beside the engines", identity=False)

    def __post_init__(self):
        if self.min_similarity is not None and not -1 <= self.min_similarity <= 1:
            raise BadRequest(f"faithful.min_similarity is a cosine from -1 to 1 or null, got {self.min_similarity}.")
        for name in ("min_numbers_kept", "min_names_kept"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadRequest(
                    f"faithful.{name} is a share from 0 to 1, got {getattr(self, name)}. For 60% write 0.6."
                )
        if self.batch_size < 1:
            raise BadRequest(f"faithful.batch_size is a number of texts from 1, got {self.batch_size}.")


class Faithful:
    """Measure and judge how faithful every living rewrite is.

    Reads `text` and `source_text`. Adds `similarity` (float32, cosine in [-1, 1]; null for other rows and where it is
    not measured). Rewrites leave with stage "faithful" and reason `low_similarity` or `facts_lost`. A source in
    several styles is embedded once per table. The encoder is loaded by the constructor, and only where
    `min_similarity` is set; BadRequest if it is not there. Source of the measure: WRAP, arXiv:2401.16380, section on
    semantic similarity.
    """

    def __init__(self, config: FaithfulConfig):
        self.config = config
        self.encoder = (
            SentenceEncoder(config.model, config.batch_size, config.device, SETTING)
            if config.min_similarity is not None
            else None
        )

    def __call__(self, table: pa.Table) -> pa.Table:
        looked_at = rewrites(table)
        rows = table.select(["text", "source_text"]).filter(pa.array(looked_at))
        texts, sources = rows["text"].to_pylist(), rows["source_text"].to_pylist()
        similarities = self._similarities(texts, sources)
        table = with_columns(table, similarity=spread(similarities, looked_at, pa.float32()))
        reasons = {}
        for index, *row in zip(np.flatnonzero(looked_at), texts, sources, similarities, strict=True):
            verdict = self._verdict(*row)
            if verdict:
                reasons[int(index)] = verdict
        return reject(table, STAGE, reasons)

    def _similarities(self, texts: list[str], sources: list[str]) -> list[float | None]:
        if self.encoder is None or not texts:
            return [None] * len(texts)
        place = {text: index for index, text in enumerate(dict.fromkeys([*sources, *texts]))}
        vectors_NE = self.encoder.embed(list(place))
        pairs = zip(sources, texts, strict=True)
        return [float(vectors_NE[place[source]] @ vectors_NE[place[text]]) for source, text in pairs]

    def _verdict(self, text: str, source: str, similarity: float | None) -> tuple[str, str] | None:
        config = self.config
        if similarity is not None and similarity < config.min_similarity:
            return "low_similarity", f"similarity {similarity:.3f}; the least is {config.min_similarity}"
        checks = (
            ("numbers", config.keep_numbers, lost_numbers, config.min_numbers_kept),
            ("names", config.keep_names, lost_names, config.min_names_kept),
        )
        for kind, on, lost_facts, least in checks:
            lost, had = lost_facts(source, text) if on else ([], 0)
            kept = 1 - len(lost) / max(1, had)
            if kept < least:
                shown = ", ".join(lost[:SHOWN]) + (", ..." if len(lost) > SHOWN else "")
                return "facts_lost", f"{kept:.2f} of {had} {kind} kept, the least is {least}; lost: {shown}"
        return None


def check_encoder(config: FaithfulConfig) -> None:
    """Raise BadRequest if an encoder is asked for and is not there. Nothing is loaded."""
    if config.min_similarity is not None:
        locate(config.model, SETTING)
