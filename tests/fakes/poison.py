"""Operators, a file format and an engine that come to grief over a marker in a text.

    <<raise>> <<hang>> <<die>>    raises, holds Python's lock for hours, ends the process

Ray's workers import this module with what they are handed of it, which makes the format known to them.
"""

import asyncio
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from operators.models.engines.base import Completion, Request
from operators.rewrite.fan_out import FanOut
from operators.storage.formats.base import Record, Row
from operators.storage.formats.jsonl import Jsonl
from operators.storage.registry import FORMATS
from operators.table import living
from pipelines.flow.stream.read import ReadOrders

EVIL = re.compile(r"(a+)+$")


def strike(text: str | None) -> None:
    """Do what the marker in a text says."""
    if text and "<<raise>>" in text:
        raise ValueError("poison")
    if text and "<<hang>>" in text:
        EVIL.match("a" * 60 + "b")
    if text and "<<die>>" in text:
        os._exit(7)


class PoisonedJsonl(Jsonl):
    """JSON lines. `<<unreadable>>` ends the process while records are looked for, not while one is worked on."""

    def records(self, handle: BinaryIO) -> Iterator[Record]:
        for record in super().records(handle):
            if b"<<unreadable>>" in record.payload[1]:
                os._exit(7)
            yield record

    def row(self, payload: tuple[int, bytes]) -> Row:
        strike(payload[1].decode())
        return super().row(payload)


FORMATS["poisoned"] = "tests.fakes.poison:PoisonedJsonl"


class PoisonedReadOrders(ReadOrders):
    """What its workers unpickle to import this module."""


class PoisonedFanOut(FanOut):
    def __call__(self, documents: pa.Table, chunks: pa.Table) -> pa.Table:
        for text in documents.filter(pa.array(living(documents)))["text"].to_pylist():
            strike(text)
        return super().__call__(documents, chunks)


def strike_rows(table: pa.Table) -> pa.Table:
    """An operator of `refine`."""
    for text in table.filter(pa.array(living(table)))["text"].to_pylist():
        strike(text)
    return table


def poisoned_refinements() -> dict:
    return {"clean": strike_rows, "stitch": strike_rows}


class PoisonedEngine:
    """Answers with the passage in capitals, after a turn of the event loop.

    It writes a line to `diary` at each start and each request. Its first `deaths_at_start` starts end the process;
    `<<stuck>>` is never answered.
    """

    model, seats = "poisoned", 4

    def __init__(self, diary: str, deaths_at_start: int = 0):
        self.diary, self.deaths_at_start = Path(diary), deaths_at_start

    async def start(self) -> None:
        with self.diary.open("a") as file:
            file.write("start\n")
        if self.diary.read_text().splitlines().count("start") <= self.deaths_at_start:
            os._exit(7)

    async def complete(self, request: Request) -> Completion:
        with self.diary.open("a") as file:
            file.write("request\n")
        text = request.messages[-1]["content"].partition("<passage>\n")[2].partition("\n</passage>")[0]
        await asyncio.sleep(0)
        strike(text)
        if "<<stuck>>" in text:
            await asyncio.Event().wait()
        return Completion(text.upper(), "stop", prompt_tokens=10, completion_tokens=10)

    async def stop(self) -> None:
        pass


def poisoned_engine(diary: Path, deaths_at_start: int = 0):
    """Give what builds the engine in its actor, for `on_engines`."""
    return partial(_build, str(diary), deaths_at_start)


def _build(diary: str, deaths_at_start: int, _config) -> PoisonedEngine:
    return PoisonedEngine(diary, deaths_at_start)
