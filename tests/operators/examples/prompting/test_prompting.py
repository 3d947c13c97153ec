import numpy as np
import pytest
from tokenizers import Tokenizer

from operators.errors import BadRequest
from operators.examples.base import Example, NoExample, Turn
from operators.examples.prompting import TEMPLATES, Prompting, PromptingConfig, Tokens
from operators.examples.prompting import encoding as encoding_module
from operators.examples.prompting.templates import FRAMES
from tests.operators.examples.prompting.tokenizers import KINDS

FRAMED = [name for name in TEMPLATES if name != "chat"]
ANSWERS = [
    "A mill on.",
    "!! mills",
    "on",
    " a mill",
    "mill on river\n\nmills.",
    "물레방아는 강가에 on",
    "<|end|> on",
    "</s> on",
    "What turns?",
]


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request, tmp_path_factory) -> str:
    return KINDS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory) -> str:
    return KINDS["byte_level"](tmp_path_factory.mktemp("bytes"))


def asked(question: str, answer: str) -> Example:
    return Example((Turn("user", question), Turn("assistant", answer)))


def prompting(tokenizer: str, template: str = "plain", turns: str = "last", **config) -> Prompting:
    return Prompting(PromptingConfig(template, **config), tokenizer, turns)


def by_hand(path: str, before: str, answer: str) -> tuple[list[int], list[int]]:
    """The tokens of a prompt and an answer: of both as one text where no token has characters of both, else each alone.

    Special tokens in the text are text. Places are those of a tokenizer that trims nothing.
    """
    tokenizer = Tokenizer.from_file(f"{path}/tokenizer.json")
    tokenizer.post_processor = None
    tokenizer.encode_special_tokens = True
    whole = tokenizer.encode(before + answer, add_special_tokens=False)
    if any(begin < len(before) < end for begin, end in whole.offsets) or _special(tokenizer, answer):
        return [tokenizer.encode(part, add_special_tokens=False).ids for part in (before, answer)]
    cut = [begin >= len(before) for begin, _ in whole.offsets]
    return [[id for id, after in zip(whole.ids, cut, strict=True) if after == side] for side in (False, True)]


def _special(tokenizer: Tokenizer, text: str) -> bool:
    return any(added.content in text for added in tokenizer.get_added_tokens_decoder().values())


@pytest.mark.parametrize("template", FRAMED)
@pytest.mark.parametrize("answer", ANSWERS)
def test_the_answers_tokens_are_those_that_begin_in_it(tokenizer, template, answer):
    one = prompting(tokenizer, template)
    example = asked("What turns?", answer)
    before = "".join(s.text for s in FRAMES[template]().framed(example, "last")[:-1])
    prompt, answered = by_hand(tokenizer, before, answer)
    (tokens,) = one.tokenise([example])
    first = [] if one.bos is None else [one.bos]
    assert tokens.ids.tolist() == [*first, *prompt, *answered]
    assert tokens.answer.tolist() == [False] * len(first + prompt) + [True] * len(answered)
    assert tokens.ids.dtype == np.int32


def test_a_token_over_the_border_is_not_made(byte_level):
    one = prompting(byte_level, "alpaca")
    whole = one.tokenizer.encode("### Response:A mill", add_special_tokens=False).tokens
    assert ":A" in whole
    (tokens,) = one.tokenise([asked("on", "A mill")])
    assert one.tokenizer.decode(tokens.ids[tokens.answer].tolist()) == "A mill"


def test_a_space_of_the_prompt_is_not_the_answers_even_where_the_tokenizer_trims_it_off_its_places(byte_level):
    one = prompting(byte_level, "human")
    (_, direct) = one.tokenise_both([asked("x", "on")])[0]
    assert one.tokenizer.decode(direct.ids.tolist()) == "Assistant: on"
    assert one.tokenizer.decode(direct.ids[direct.answer].tolist()) == "on"


@pytest.mark.parametrize("template", FRAMED)
@pytest.mark.parametrize("turns", ["last", "all"])
def test_both_readings_have_the_same_answer(tokenizer, template, turns):
    one = prompting(tokenizer, template, turns, score_eos=True)
    chats = [
        Example((Turn("user", "What?"), Turn("assistant", early), Turn("user", "And?"), Turn("assistant", late)))
        for early in ANSWERS
        for late in ANSWERS
    ]
    for whole, direct in one.tokenise_both(chats):
        np.testing.assert_array_equal(whole.ids[whole.answer], direct.ids[direct.answer])
        assert len(direct.ids) < len(whole.ids)


@pytest.mark.parametrize("turns, answers", [("last", ["on. "]), ("all", ["A mill", "on. "])])
def test_of_a_chat_the_last_answer_counts_or_all(byte_level, turns, answers):
    chat = Example((Turn("user", "What?"), Turn("assistant", "A mill"), Turn("user", "!"), Turn("assistant", "on. ")))
    for template in FRAMED:
        one = prompting(byte_level, template, turns)
        (tokens,) = one.tokenise([chat])
        decoded = one.tokenizer.decode(tokens.ids[tokens.answer].tolist())
        assert decoded == "".join(answers), template


def test_there_is_one_begin_token_and_no_more(tmp_path):
    one = prompting(KINDS["metaspace"](tmp_path))
    (tokens,) = one.tokenise([asked("a", "<s> on")])
    assert tokens.ids.tolist().count(one.bos) == 1 and tokens.ids[0] == one.bos and not tokens.answer[0]


def test_a_token_with_the_id_0_is_a_token(byte_level):
    one = prompting(byte_level)
    (tokens,) = one.tokenise([asked("!", "!!")])
    assert tokens.ids[tokens.answer].tolist() == [0, 0] and tokens.ids[0] == 0


def test_the_end_counts_where_it_is_asked_for(tokenizer):
    example = asked("a", "on")
    (without,), (with_end,) = (prompting(tokenizer, score_eos=end).tokenise([example]) for end in (False, True))
    assert with_end.ids.tolist() == [*without.ids.tolist(), prompting(tokenizer).eos]
    assert with_end.answer.tolist() == [*without.answer.tolist(), True]


def test_tulu_ends_every_answer_and_counts_the_end_where_the_answer_counts(byte_level):
    chat = Example((Turn("user", "a"), Turn("assistant", "on"), Turn("user", "b"), Turn("assistant", "s.")))
    for turns, counted in (("last", 1), ("all", 2)):
        one = prompting(byte_level, "tulu", turns, score_eos=True)
        (tokens,) = one.tokenise([chat])
        text = "<|user|>\na\n<|assistant|>\non<|end|>\n<|user|>\nb\n<|assistant|>\ns.<|end|>"
        assert one.tokenizer.decode(tokens.ids.tolist(), skip_special_tokens=False) == text
        assert int((tokens.ids[tokens.answer] == one.eos).sum()) == counted


def test_a_plain_text_is_an_answer_to_nothing(tokenizer):
    ((whole, direct),) = prompting(tokenizer, "alpaca").tokenise_both([Example(text="A mill on")])
    assert whole.prompt_tokens == (prompting(tokenizer).bos is not None) and whole.answer_tokens > 0
    np.testing.assert_array_equal(whole.ids, direct.ids)


def test_what_cannot_be_read_is_told_and_the_others_stay(tmp_path, byte_level):
    found = prompting(byte_level, max_tokens=20).tokenise([asked("on", "on"), asked("x", "y" * 50), asked("on", "on")])
    assert isinstance(found[1], NoExample) and found[1].reason == "too_long"
    assert isinstance(found[0], Tokens) and np.array_equal(found[0].ids, found[2].ids)
    (none,) = prompting(KINDS["word_piece"](tmp_path)).tokenise([asked("on", "\x00\u200b")])
    assert none.reason == "no_target"


def test_the_limit_counts_every_token(byte_level):
    example = asked("mill", "river")
    (tokens,) = prompting(byte_level, score_eos=True).tokenise([example])
    (fits,) = prompting(byte_level, score_eos=True, max_tokens=len(tokens.ids)).tokenise([example])
    (over,) = prompting(byte_level, score_eos=True, max_tokens=len(tokens.ids) - 1).tokenise([example])
    assert isinstance(fits, Tokens) and over.reason == "too_long"


def test_a_huge_text_is_refused_after_a_little_of_it(byte_level):
    one = prompting(byte_level, max_tokens=1000)
    read = []
    encode = one.encoder._parts
    one.encoder._parts = lambda pieces, placed: read.extend(pieces) or encode(pieces, placed)
    (huge,) = one.tokenise([asked("x", "mill on river " * 1_000_000)])
    assert huge.reason == "too_long" and sum(len(piece.text) for piece in read) <= 2 * encoding_module.LONGEST


def test_a_text_in_stretches_has_the_tokens_of_one_go(byte_level, monkeypatch):
    example = asked("What turns the mill?", "mill on river " * 40)
    (whole,) = prompting(byte_level).tokenise([example])
    monkeypatch.setattr(encoding_module.stretches, "__defaults__", (64,))
    (stretched,) = prompting(byte_level).tokenise([example])
    np.testing.assert_array_equal(whole.ids, stretched.ids)
    np.testing.assert_array_equal(whole.answer, stretched.answer)


def test_a_batch_gives_what_each_alone_gives(tokenizer):
    one = prompting(tokenizer, "human")
    examples = [asked("What turns?", answer) for answer in ANSWERS]
    for example, together in zip(examples, one.tokenise(examples), strict=True):
        np.testing.assert_array_equal(one.tokenise([example])[0].ids, together.ids)


def test_a_wrong_template_limit_or_end_is_told(tmp_path):
    with pytest.raises(BadRequest, match=r"no template 'vicuna'. There are: alpaca, chat, human, plain, tulu"):
        PromptingConfig("vicuna")
    with pytest.raises(BadRequest, match=r"max_tokens is a number of tokens from 2"):
        PromptingConfig(max_tokens=1)
    path = KINDS["byte_level"](tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(BadRequest, match=r"score_eos: .* does not say which token ends a text"):
        prompting(path, score_eos=True)
