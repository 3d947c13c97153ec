import asyncio

import pytest

from operators.errors import BadRequest
from operators.models.engines.base import Completion, EngineFailure, Request
from operators.rewrite.prompts import load_prompt
from operators.rewrite.rephrase import Rephrase, RephraseConfig
from operators.table import COMPLETIONS, ORIGINAL, REQUESTS
from tests.rows import table


class FakeEngine:
    """Answers in the reverse order of asking, with the passage in capitals; texts with BAD fail, with DEAD kill it."""

    model, seats = "fake-model", 4

    def __init__(self):
        self.asked: list[Request] = []
        self.running = self.peak = 0

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await asyncio.sleep(0.02 / len(self.asked))
        finally:
            self.running -= 1
        text = request.messages[-1]["content"].partition("<passage>\n")[2].partition("\n</passage>")[0]
        if "DEAD" in text:
            raise EngineFailure("the engine is dead")
        if "BAD" in text:
            return Completion(None, error="too_long", detail="5000 tokens")
        return Completion(text.upper(), "stop", prompt_tokens=10, completion_tokens=len(text) // 2, cached_tokens=6)


def request(document: int, chunk: int | None, style: str | None, source: str | None, **columns) -> dict:
    place = {"document_id": f"d{document}", "position": 10 * document, "source_file": "a.jsonl"}
    return {
        "id": f"{document}-{chunk}-{style}",
        "chunk_index": chunk,
        "style": style,
        "source_text": source,
        **place,
    } | columns


def rephrase(rows: list[dict], **settings) -> tuple[list[dict], FakeEngine, Rephrase]:
    engine = FakeEngine()
    operator = Rephrase(RephraseConfig(**{"styles": ["medium", "qa"]} | settings), engine)
    return asyncio.run(operator(table(REQUESTS, rows))).to_pylist(), engine, operator


def test_each_rewrite_lands_in_its_own_row_and_other_rows_pass_untouched():
    original = request(0, None, ORIGINAL, None, text="The whole document.")
    rejected = request(1, None, None, None, stage="read", reason="null_text")
    rows, engine, _ = rephrase([original, request(0, 0, "medium", "onetwo"), request(0, 0, "qa", "two"), rejected])
    assert [row["text"] for row in rows] == ["The whole document.", "ONETWO", "TWO", None]
    assert [row["model"] for row in rows] == [None, "fake-model", "fake-model", None]
    assert rows[3]["reason"] == "null_text" and len(engine.asked) == 2
    counts = [rows[1][name] for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "finish_reason")]
    assert counts == [10, 6, 3, "stop"]


def test_the_columns_are_those_of_requests_and_completions_even_without_rows():
    for rows in ([], [request(0, 0, "qa", "one")]):
        made = asyncio.run(Rephrase(RephraseConfig(styles=["qa"]), FakeEngine())(table(REQUESTS, rows)))
        assert made.schema.names == [*REQUESTS.names, *COMPLETIONS.names]
        assert all(made.schema.field(field.name).type == field.type for field in [*REQUESTS, *COMPLETIONS])


def test_a_request_that_fails_leaves_alone_with_the_engines_reason():
    rows, *_ = rephrase([request(0, 0, "qa", "one"), request(0, 1, "qa", "BAD"), request(0, 2, "qa", "three")])
    assert [row["text"] for row in rows] == ["ONE", None, "THREE"]
    assert [rows[1][name] for name in ("stage", "reason", "detail")] == ["rephrase", "too_long", "5000 tokens"]
    assert [row["reason"] for row in rows] == [None, "too_long", None]


def test_all_rows_are_with_the_engine_at_once():
    assert rephrase([request(0, chunk, "qa", "text") for chunk in range(50)])[1].peak == 50


def test_a_dead_engine_is_not_hidden_and_no_request_is_left_running():
    async def run() -> None:
        engine = FakeEngine()
        rows = [request(0, chunk, "qa", "DEAD" if chunk == 19 else "text") for chunk in range(20)]
        with pytest.raises(EngineFailure, match="the engine is dead"):
            await Rephrase(RephraseConfig(styles=["qa"]), engine)(table(REQUESTS, rows))
        assert engine.running == 0 and len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_a_request_issued_again_draws_the_same_seed_and_others_draw_others():
    rows = [request(0, chunk, "qa", "text") for chunk in range(20)]
    first, again, other = (rephrase(rows, seed=seed)[1].asked for seed in (0, 0, 1))
    assert [one.seed for one in first] == [one.seed for one in again]
    assert len({one.seed for one in [*first, *other]}) == 40
    assert all(0 <= one.seed < 2**31 for one in first)


def test_sampling_and_system_line_are_the_prompts_own_unless_the_config_says_otherwise():
    row = [request(0, 0, "brief", "text")]
    own = rephrase(row, styles=["brief"])[1].asked[0]
    assert (own.temperature, own.max_tokens) == (0.3, 256)
    assert own.messages == load_prompt("brief").messages("text")
    set_here = rephrase(row, styles=["brief"], temperature=0.0, top_p=0.5, max_tokens=9, system="Be brief.")[1].asked[0]
    assert (set_here.temperature, set_here.top_p, set_here.max_tokens) == (0.0, 0.5, 9)
    assert set_here.messages[0] == {"role": "system", "content": "Be brief."}


def test_text_first_puts_the_passage_before_the_instruction():
    asked = rephrase([request(0, 0, style, "text") for style in ("medium", "qa")], prompt_order="text_first")[1].asked
    assert [one.messages[-1]["content"].startswith("<passage>\ntext\n</passage>") for one in asked] == [True, True]


def test_a_chunk_is_shown_the_end_of_the_rewrite_before_it_and_a_failure_breaks_only_that():
    rows = [
        request(d, c, "qa", f"{d} {t} {'x' * 30} end") for c, t in enumerate(["a", "BAD", "b", "c"]) for d in (0, 1)
    ]
    made, engine, _ = rephrase(rows, carry_context=True, context_tokens=2)
    assert [row["reason"] for row in made] == [None, None, "too_long", "too_long", None, None, None, None]
    assert [row["text"][:3] if row["text"] else None for row in made[4:]] == ["0 B", "1 B", "0 C", "1 C"]
    shown = {one.key: "XXXX END\n</previous>" in one.messages[-1]["content"] for one in engine.asked}
    assert [shown[f"0-{chunk}-qa"] for chunk in range(4)] == [False, True, False, True]
    assert not any("X" * 5 in one.messages[-1]["content"] for one in engine.asked)
    assert engine.peak == 2  # documents side by side, chunks one after the other


def test_two_styles_of_one_name_are_refused():
    with pytest.raises(BadRequest, match="two have the same name"):
        Rephrase(RephraseConfig(styles=["qa", "qa"]), FakeEngine())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("temperature", value) for value in (-0.1, float("nan"), float("inf"))],
        *[("top_p", value) for value in (0.0, 1.01, float("nan"))],
        ("max_tokens", 0),
        ("context_tokens", 0),
    ],
)
def test_sampling_out_of_range_is_refused_with_what_was_given(name, value):
    with pytest.raises(BadRequest, match=rf"^{name} is .*, got {value}\."):
        RephraseConfig(**{name: value})


def test_sampling_at_the_ends_of_its_range_is_taken():
    config = RephraseConfig(styles=["qa"], temperature=0.0, top_p=1.0, max_tokens=1, context_tokens=1)
    engine = FakeEngine()
    asyncio.run(Rephrase(config, engine)(table(REQUESTS, [request(0, 0, "qa", "one")])))
    (asked,) = engine.asked
    assert (asked.temperature, asked.top_p, asked.max_tokens) == (0.0, 1.0, 1)


class StumblingEngine(FakeEngine):
    """Raises what its contract does not name, for texts with STUMBLE."""

    async def complete(self, request: Request) -> Completion:
        if "STUMBLE" in request.messages[-1]["content"]:
            raise KeyError("nobody foresaw it")
        return await super().complete(request)


def test_what_nobody_foresaw_is_the_requests_own_error():
    texts = ["one", "STUMBLE", "two"]
    requests = table(REQUESTS, [request(0, i, "qa", text) for i, text in enumerate(texts)])
    rows = asyncio.run(Rephrase(RephraseConfig(styles=["qa"]), StumblingEngine())(requests)).to_pylist()
    assert [row["text"] for row in rows] == ["ONE", None, "TWO"]
    assert (rows[1]["stage"], rows[1]["reason"], rows[1]["detail"]) == (
        "rephrase",
        "error",
        "KeyError: 'nobody foresaw it'",
    )
