"""Tulu's frame beside what LESS's released code makes of the same turns: one text, masked by counts of tokens."""

import pytest
from transformers import PreTrainedTokenizerFast

from operators.examples.base import Example, Turn
from operators.examples.prompting import Prompting, PromptingConfig
from tests.operators.examples.prompting.tokenizers import byte_level, metaspace

MAKERS = {"byte_level": (byte_level, "<|end|>"), "metaspace": (metaspace, "</s>")}
CHATS = [
    [("user", "What turns the mill?"), ("assistant", "A river.")],
    [("system", "Be short."), ("user", "What?"), ("assistant", "A mill on."), ("user", "And?"), ("assistant", "on. ")],
    [("user", " on\n"), ("assistant", "\n A mill.\n\n"), ("user", "s."), ("assistant", "on")],
]


def released(tokenizer: PreTrainedTokenizerFast, turns: list[tuple[str, str]]) -> tuple[list[int], list[bool]]:
    """Tokens, and which of them are learned, in the way of that code."""

    def text(some) -> str:
        ends = {"assistant": tokenizer.eos_token}
        return "".join(f"<|{role}|>\n{content.strip()}{ends.get(role, '')}\n" for role, content in some)

    def count(begin: str) -> int:
        return len(tokenizer(begin).input_ids)

    ids = tokenizer(text(turns)).input_ids
    learned = [True] * len(ids)
    for number, (role, _) in enumerate(turns):
        if role != "assistant":
            begin = count(text(turns[:number])) if number else 0
            label = "<|assistant|>\n" if turns[number + 1][0] == "assistant" else ""
            end = count(text(turns[: number + 1]) + label)
            learned[begin:end] = [False] * (end - begin)
    return ids, learned


@pytest.fixture(params=MAKERS)
def both(request, tmp_path) -> tuple[str, PreTrainedTokenizerFast]:
    make, eos = MAKERS[request.param]
    path = make(tmp_path)
    return path, PreTrainedTokenizerFast(tokenizer_file=f"{path}/tokenizer.json", eos_token=eos)


@pytest.mark.parametrize("turns", CHATS)
def test_the_released_form_has_the_tokens_and_the_mask_of_the_released_code(both, turns):
    path, theirs = both
    one = Prompting(PromptingConfig("tulu", score_eos=True), path, "all", released=True)
    (tokens,) = one.tokenise([Example(tuple(Turn(*turn) for turn in turns))])
    ids, learned = released(theirs, turns)
    assert tokens.ids.tolist() == ids and tokens.answer.tolist() == learned


@pytest.mark.parametrize("turns", CHATS[:2])
def test_tulus_own_form_is_that_without_the_line_end_after_the_last_answers_end(both, turns):
    path, theirs = both
    one = Prompting(PromptingConfig("tulu", score_eos=True), path, "all")
    (tokens,) = one.tokenise([Example(tuple((Turn(role, text.strip()) for role, text in turns)))])
    ids, learned = released(theirs, turns)
    last = len(ids) - ids[::-1].index(one.eos)
    assert tokens.ids.tolist() == ids[:last]
    assert tokens.answer.tolist() == _without_line_ends(ids, learned, one.eos)[:last]


def _without_line_ends(ids: list[int], learned: list[bool], eos: int) -> list[bool]:
    kept, ended = [], False
    for token, told in zip(ids, learned, strict=True):
        kept.append(told and not ended)
        ended = told and (ended or token == eos)
    return kept


def test_without_the_end_neither_it_nor_what_follows_is_scored(both):
    path, _ = both
    example = Example((Turn("user", "What?"), Turn("assistant", "A mill.")))
    plain, form = (
        Prompting(PromptingConfig("tulu"), path, released=how).tokenise([example])[0] for how in (False, True)
    )
    assert plain.ids[plain.answer].tolist() == form.ids[form.answer].tolist()
