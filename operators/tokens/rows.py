"""Packed rows: tokens of documents in rows of one length, and what belongs to each token at the same places.

A part is an Arrow IPC file, so that it can be memory-mapped. Shapes: R rows of T tokens (the window).
"""

import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest

KEY = b"gristmill.packing"  # of the schema's metadata
FORMAT = 1


@dataclass(frozen=True)
class Packing:
    """What all rows of a packed artifact share.

    `window` is T in tokens. With `cross_document` a row is one context; without it attention and positions restart where a
    document starts. `tokenizer` is the digest of its contents, `vocabulary` counts its tokens, `eos` ends every document.
    """

    window: int
    cross_document: bool
    tokenizer: str
    vocabulary: int
    eos: int
    format: int = FORMAT

    @property
    def schema(self) -> pa.Schema:
        columns = [
            ("id", pa.string()),
            ("tokens", pa.list_(pa.uint16() if self.vocabulary <= 2**16 else pa.int32(), self.window)),
            ("starts", pa.list_(pa.bool_(), self.window)),  # true where a document begins
            ("targets", pa.list_(pa.bool_(), self.window)),  # false where nothing is to be predicted: padding, prompts
        ]
        return pa.schema(columns, {KEY: json.dumps(asdict(self)).encode()})


@dataclass(frozen=True)
class PackedRows:
    """Packed rows as arrays: ids of R rows, tokens (R, T) as stored, starts and targets bool (R, T)."""

    packing: Packing
    ids: list[str]
    tokens_RT: np.ndarray
    starts_RT: np.ndarray
    targets_RT: np.ndarray

    def table(self) -> pa.Table:
        schema = self.packing.schema
        flat = (self.tokens_RT, self.starts_RT, self.targets_RT)
        lists = [
            pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(values), field.type.value_type), self.packing.window)
            for field, values in zip(list(schema)[1:], flat, strict=True)
        ]
        return pa.table([pa.array(self.ids, pa.string()), *lists], schema=schema)

    @cached_property
    def defined_RT(self) -> np.ndarray:
        """Tell which targets have a prediction: bool (R, T). The first token of a context has none."""
        defined = self.targets_RT.copy()
        defined[:, 0] = False
        return defined if self.packing.cross_document else defined & ~self.starts_RT

    @cached_property
    def positions_RT(self) -> np.ndarray:
        """Count the tokens of its context before each token: int64 (R, T)."""
        begins = self.contexts_RT
        place = np.broadcast_to(np.arange(begins.shape[1]), begins.shape)
        return place - np.maximum.accumulate(np.where(begins, place, 0), axis=1)

    @cached_property
    def contexts_RT(self) -> np.ndarray:
        """Tell where a context begins: bool (R, T)."""
        begins = np.zeros_like(self.starts_RT) if self.packing.cross_document else self.starts_RT.copy()
        begins[:, 0] = True
        return begins

    def segments(self) -> np.ndarray:
        """Give the contexts as int64 (contexts, 3): row, begin, end. Their tokens tile the rows; padding is in the last ones."""
        rows, begins = np.nonzero(self.contexts_RT)
        ends = np.roll(begins, -1)
        ends[ends == 0] = self.packing.window  # the next context begins the next row
        return np.stack([rows, begins, ends], axis=1)


def packing_of(schema: pa.Schema) -> Packing:
    """Read what the rows of a part share. Raises BadRequest where it was not packed by us, or by a later version."""
    content = json.loads((schema.metadata or {}).get(KEY, b"{}"))
    if not content:
        raise BadRequest("these are no packed tokens: `gristmill run pack` makes them from documents.")
    if content.get("format") != FORMAT:
        raise BadRequest(
            f"packed tokens of format {content.get('format')}, and this version reads {FORMAT}. Pack anew."
        )
    return Packing(**{field.name: content[field.name] for field in fields(Packing)})


def rows_of(table: pa.Table) -> PackedRows:
    """View the rows of a part as arrays; tokens are not copied where the table has one chunk."""
    packing = packing_of(table.schema)
    tokens, starts, targets = (
        flat(table[name]).reshape(-1, packing.window) for name in ("tokens", "starts", "targets")
    )
    return PackedRows(packing, table["id"].to_pylist(), tokens, starts, targets)


def flat(column: pa.ChunkedArray) -> np.ndarray:
    """Give the values of a column of lists of one length, one after the other."""
    chunks = column.chunks or [column.combine_chunks()]  # a table without rows may have none
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in chunks]
    return np.concatenate(parts) if len(parts) != 1 else parts[0]


def checksums(tokens_RT: np.ndarray) -> np.ndarray:
    """Digest the tokens of each row, whatever integer type holds them: uint64 (R,)."""
    digests = (blake2b(row.astype("<i4").tobytes(), digest_size=8).digest() for row in tokens_RT)
    return np.frombuffer(b"".join(digests), dtype="<u8")
