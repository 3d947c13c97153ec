import asyncio

import pyarrow as pa
import pytest

from operators.models.chains import Chains, seed_of
from operators.models.engines.base import Completion, EngineFailure, Request
from operators.table import CHUNKS, COMPLETIONS

ROWS = pa.schema([("id", pa.string()), ("style", pa.string()), *CHUNKS])


class Echo:
    """Answers with the last message in capitals; BAD fails, DEAD kills the engine."""

    model, seats, advice = "echo", 4, ""

    def __init__(self):
        self.asked: list[Request] = []

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        await asyncio.sleep(0)
        text = request.messages[-1]["content"]
        if "DEAD" in text:
            raise EngineFailure("the engine is dead")
        if "BAD" in text:
            return Completion(None, error="too_long", detail="5000 tokens", prompt_tokens=7)
        return Completion(text.upper(), "stop", prompt_tokens=10, completion_tokens=2)


class TwoSteps(Chains):
    """Asks of what a text is, and then about that. What it wrote is handed on along the document."""

    stage, kind, reads, calls_per_row = "two_steps", "style", ("source_text", "position"), 2
    adds = pa.schema([("topic", pa.string()), ("told", pa.string())])

    def chain_of(self, row):
        return row["position"]

    def passed_on(self, row):
        return row["told"] and row["told"][-3:]

    async def answer(self, row, ask):
        topic = await ask(({"content": row["source_text"]},), max_tokens=9)
        told = await ask(({"content": f"{row['carried']} {topic.text} {row['source_text']}"},), max_tokens=9)
        return {"topic": topic.text, "told": told.text}


def rows(*texts: str, position: int = 0, first: int = 0) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"id": f"{position}.{n}", "style": "pair", "source_text": text, "position": position, "chunk_index": n}
            for n, text in enumerate(texts, first)
        ],
        ROWS,
    )


def run(table: pa.Table) -> tuple[list[dict], Echo]:
    engine = Echo()
    return asyncio.run(TwoSteps(engine, seed=3)(table)).to_pylist(), engine


def test_a_later_call_depends_on_the_one_before_and_both_are_paid_for():
    (made,), engine = run(rows("ab"))
    assert (made["topic"], made["told"]) == ("AB", "NONE AB AB")
    assert [made[name] for name in COMPLETIONS.names] == ["echo", 20, 0, 4, "stop"]
    assert [request.key for request in engine.asked] == ["0.0", "0.0#1"]
    assert [request.seed for request in engine.asked] == [seed_of(3, "0.0"), seed_of(3, "0.0#1")]


def test_all_calls_of_a_chain_name_it_and_other_chains_another():
    _, engine = run(pa.concat_tables([rows("ab", "cd"), rows("ef", position=7)]))
    chains = {request.key.partition(".")[0]: request.chain for request in engine.asked}
    assert len(engine.asked) == 6 and chains["0"] != chains["7"]
    assert all(request.chain == chains[request.key.partition(".")[0]] for request in engine.asked)


def test_what_a_row_passes_on_reaches_the_next_of_its_chain_and_no_other():
    made, engine = run(pa.concat_tables([rows("ab", "cd", "ef"), rows("gh", position=7)]))
    assert [row["told"] for row in made] == ["NONE AB AB", " AB CD CD", " CD EF EF", "NONE GH GH"]
    assert len(engine.asked) == 8


@pytest.mark.parametrize("broken", ["BAD", "gap"])
def test_a_row_that_came_to_nothing_or_was_not_asked_passes_nothing_on(broken):
    table = rows("ab", "BAD", "ef")
    table = table if broken == "BAD" else pa.concat_tables([table[:1], table[2:]])
    made, _ = run(table)
    assert made[-1]["told"] == "NONE EF EF"


def test_a_row_whose_later_call_fails_leaves_with_the_engines_word_and_what_was_paid():
    class SecondFails(TwoSteps):
        async def answer(self, row, ask):
            await ask(({"content": "fine"},), max_tokens=9)
            await ask(({"content": "BAD"},), max_tokens=9)

    (made,) = asyncio.run(SecondFails(Echo(), seed=0)(rows("ab"))).to_pylist()
    assert (made["stage"], made["reason"], made["detail"]) == ("two_steps", "too_long", "5000 tokens")
    assert (made["topic"], made["prompt_tokens"], made["completion_tokens"]) == (None, 17, 2)


def test_a_mistake_in_making_a_request_is_the_rows_own_and_a_dead_engine_is_not():
    class Stumbles(TwoSteps):
        async def answer(self, row, ask):
            return {"told": row["no such column"]}

    (made,) = asyncio.run(Stumbles(Echo(), seed=0)(rows("ab"))).to_pylist()
    assert (made["reason"], made["detail"]) == ("error", "KeyError: 'no such column'")
    with pytest.raises(EngineFailure):
        run(rows("DEAD"))


def test_a_chain_goes_on_in_another_table_as_it_would_have_in_one():
    whole, _ = run(rows("ab", "cd", "ef", "gh"))
    operator = TwoSteps(Echo(), seed=3)
    first = asyncio.run(operator(rows("ab", "cd")))
    rest = operator.with_carried(rows("ef", "gh", first=2), first)
    assert rest["carried"].to_pylist() == [" CD", None]
    second = asyncio.run(operator(rest))
    assert first.to_pylist() + second.to_pylist() == whole


def test_calls_are_counted_not_rows():
    rejected = pa.Table.from_pylist([{"id": "x", "reason": "null_text"}], ROWS)
    assert TwoSteps(Echo(), seed=0).calls(pa.concat_tables([rows("ab", "cd"), rejected])) == 4
