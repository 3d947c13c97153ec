"""Rows that a model is asked about: what each lacks may take several calls, and may depend on what came of the row before it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Hashable, Iterable
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.errors import BadRequest
from operators.models.engines.base import Completion, Engine, EngineFailure, Request, unforeseen
from operators.table import COMPLETIONS, living, reject, spread, with_columns

CARRIED = pa.field("carried", pa.large_string())  # what a row is given of the one before it


class Unanswered(Exception):
    """A call came to nothing; `completion` says why."""

    def __init__(self, completion: Completion):
        super().__init__(completion.error)
        self.completion = completion


class Ask:
    """A row's way to its engine. Each call is a round: its key and its seed are the row's own, the later ones with their number.

    `chain` is what keeps calls at one address, where there are several to be kept.
    """

    def __init__(self, engine: Engine, row: str, kind: str, chain: str | None, seed: int):
        self.engine, self.row, self.kind, self.chain, self.seed = engine, row, kind, chain, seed
        self.begun, self.rounds = 0, []

    async def __call__(
        self,
        messages: tuple[dict, ...],
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        stop: tuple[str, ...] = (),
    ) -> Completion:
        """Have the engine complete some messages. Raises Unanswered, or EngineFailure where no request is to blame."""
        key = f"{self.row}#{self.begun}" if self.begun else self.row
        self.begun += 1
        seed = seed_of(self.seed, key)
        request = Request(key, messages, max_tokens, temperature, top_p, stop, seed, self.kind, self.chain)
        try:
            completion = await self.engine.complete(request)
        except (EngineFailure, BadRequest):
            raise
        except Exception as error:
            completion = unforeseen(error)
        self.rounds.append(completion)
        if completion.error:
            raise Unanswered(completion)
        return completion

    def paid(self) -> dict[str, Any]:
        """Give COMPLETIONS of all rounds together: tokens are sums over those that were counted, the end is the last one's."""
        sums = {
            name: sum(counted)
            if (counted := [n for n in (getattr(c, name) for c in self.rounds) if n is not None])
            else None
            for name in ("prompt_tokens", "cached_tokens", "completion_tokens")
        }
        return sums | {
            "model": self.engine.model,
            "finish_reason": self.rounds[-1].finish_reason if self.rounds else None,
        }


class Chains(ABC):
    """Base of the operators beside an engine, which limits how many calls are under way: they hand it all that can be asked.

    The living rows that `asked` names are answered. Rows of one chain (a document's, of one kind) go one after the other, by
    `chunk_index`; each is handed what the one directly before it passes on (`passed_on`), in this table or, as its column
    `carried` says, in one that was finished before. All calls of a chain go to one address of the engine. Chains go side by side.

    Adds COMPLETIONS and the columns `adds`, or fills these where they are there. A row of which a call fails leaves in `stage`
    with the engine's word for it, or as `error` where nobody foresaw how. Row order is kept; no row is dropped. Raises
    EngineFailure where the engine cannot go on.
    """

    stage: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]  # columns that `answer`, `chain_of` and `passed_on` are given, with `id`
    adds: pa.Schema
    kind: ClassVar[str]  # the column whose words name the kinds of requests
    calls_per_row: ClassVar[int] = 1  # at the most

    def __init__(self, engine: Engine, seed: int):
        self.engine, self.seed = engine, seed

    @abstractmethod
    async def answer(self, row: dict[str, Any], ask: Ask) -> dict[str, Any]:
        """Give a row's values of `adds`; row["carried"] is what the row before it passed on."""

    @classmethod
    def asked(cls, table: pa.Table) -> np.ndarray:
        """Tell which rows to ask about: bool (rows,)."""
        return living(table)

    @classmethod
    def calls(cls, table: pa.Table) -> int:
        """Count the calls that a table takes, at the most."""
        return int(cls.asked(table).sum()) * cls.calls_per_row

    def chain_of(self, row: dict[str, Any]) -> Hashable | None:
        """Name the chain of a row; null where it is one by itself."""
        return None

    def passed_on(self, row: dict[str, Any]) -> str | None:
        """Give what the next row of the chain is handed. `row` has the values that were made for it, null where a call failed."""
        return None

    async def __call__(self, table: pa.Table) -> pa.Table:
        asked = self.asked(table)
        indices = np.flatnonzero(asked)
        rows = self._rows(table.filter(pa.array(asked)))
        chains: dict[Hashable, list[int]] = {}
        for number, row in enumerate(rows):
            chain = self.chain_of(row)
            chains.setdefault(("row", number) if chain is None else ("chain", chain), []).append(number)
        made: dict[int, tuple[dict[str, Any], Completion | None]] = {}
        await _all(self._follow(chain, rows, made) for chain in chains.values())
        faults = {int(indices[n]): (lost.error, lost.detail) for n, (_, lost) in made.items() if lost}
        return reject(self._filled(table, asked, [made[number][0] for number in range(len(rows))]), self.stage, faults)

    def with_carried(self, rest: pa.Table, finished: pa.Table) -> pa.Table:
        """Hand the rows of a table what those before them pass on, which stand in one that is finished."""
        rows = self._rows(rest)
        before = [None if row["chunk_index"] is None else (self.chain_of(row), _before(row)) for row in rows]
        passed, places = {}, set(before)
        for row in self._rows(finished):
            place = (self.chain_of(row), row["chunk_index"])
            if place in places:
                passed[place] = self._passed_on(row)
        carried = [passed.get(place, row[CARRIED.name]) for place, row in zip(before, rows, strict=True)]
        return with_columns(rest, **{CARRIED.name: pa.array(carried, CARRIED.type)})

    def _rows(self, table: pa.Table) -> list[dict[str, Any]]:
        names = {"id", self.kind, "chunk_index", CARRIED.name, *self.reads, *self.adds.names, *COMPLETIONS.names}
        rows = table.select([name for name in table.column_names if name in names]).to_pylist()
        return [{CARRIED.name: None} | row for row in rows]

    async def _follow(self, chain: list[int], rows: list[dict], made: dict) -> None:
        """Answer the rows of a chain one after the other."""
        before: dict[str, Any] | None = None
        for number in sorted(chain, key=lambda number: rows[number]["chunk_index"] or 0):
            row = rows[number]
            if before is not None and before["chunk_index"] == _before(row):
                row[CARRIED.name] = self._passed_on(before)
            made[number] = await self._made(row)
            before = row | made[number][0]

    def _passed_on(self, row: dict[str, Any]) -> str | None:
        """Give what a row passes on; where that cannot be made of it, its own later operators will say so."""
        try:
            return self.passed_on(row)
        except Exception:
            return None

    async def _made(self, row: dict[str, Any]) -> tuple[dict[str, Any], Completion | None]:
        """Give what was made for a row, and why it came to nothing where it did."""
        chain = self.chain_of(row)
        together = repr(chain) if chain is not None else row["id"] if self.calls_per_row > 1 else None
        ask = Ask(self.engine, row["id"], row[self.kind], together, self.seed)
        values, lost = dict.fromkeys(self.adds.names), None
        try:
            values |= await self.answer(row, ask)
        except Unanswered as unanswered:
            lost = unanswered.completion
        except (EngineFailure, BadRequest):
            raise
        except Exception as error:
            lost = unforeseen(error)
        return values | ask.paid(), lost

    def _filled(self, table: pa.Table, asked: np.ndarray, made: list[dict[str, Any]]) -> pa.Table:
        columns = {}
        for field in [*self.adds, *COMPLETIONS]:
            new = spread([values[field.name] for values in made], asked, field.type)
            there = field.name in table.column_names
            columns[field.name] = pc.coalesce(new, table[field.name]) if there else new
        table = with_columns(table, **columns)
        return table.drop_columns(CARRIED.name) if CARRIED.name in table.column_names else table


def seed_of(run: int, key: str) -> int:
    """Draw the seed of a call, the same each time: 31 bits, which every engine takes."""
    return int.from_bytes(blake2b(f"{run}:{key}".encode(), digest_size=4).digest()) >> 1


def _before(row: dict[str, Any]) -> int | None:
    return None if row["chunk_index"] is None else row["chunk_index"] - 1


async def _all(works: Iterable[Awaitable]) -> list:
    """Await all at once. When one raises, the others are stopped before it goes on."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
