from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from operators.learn.dynamics.pieces import pieces

SPECIAL = "<|end|>"


@cache
def byte_level() -> Tokenizer:
    """One token a byte, besides one for " the" and one that is special."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "t"), ("Ġt", "h"), ("Ġth", "e")]
    vocabulary = [*letters, *("".join(merge) for merge in merges)]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(vocabulary)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([SPECIAL])
    return tokenizer


def sentence_pieces() -> Tokenizer:
    """What Llama 2 and Gemma have: a sign for spaces, bytes for what the vocabulary lacks, no space at the front."""
    vocabulary = ["<unk>", "▁a", "▁mill", "▁", "<0xED>", "<0x95>", "<0x9C>"]
    tokenizer = Tokenizer(
        models.BPE(vocab={token: i for i, token in enumerate(vocabulary)}, merges=[], unk_token="<unk>")
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def shown(text: str) -> list[str]:
    return pieces(byte_level(), byte_level().encode(text).ids)


@given(st.lists(st.integers(0, 259), max_size=40))
def test_pieces_of_any_tokens_join_to_the_decoded_text(tokens):
    parts = pieces(byte_level(), tokens)
    assert len(parts) == len(tokens)
    assert "".join(parts) == byte_level().decode(tokens, skip_special_tokens=False)


@given(st.text(max_size=20))
def test_pieces_of_any_text_join_to_the_text(text):
    assert "".join(shown(text)) == text


@pytest.mark.parametrize("character", ["é", "한", "👍", "e\u0301", "👨‍👩‍👧", "🇰🇷", "नि"])
def test_what_is_seen_as_one_character_stands_whole_at_its_last_token(character):
    count = len(character.encode())
    assert shown(f"a{character}b") == ["a", *[""] * (count - 1), character, "b"]


def test_words_keep_their_spaces_and_special_tokens_are_shown():
    assert shown(f"to the{SPECIAL}") == ["t", "o", " the", SPECIAL]


def test_broken_bytes_at_the_front_leave_the_text_behind_them_whole():
    tokens = byte_level().encode("한 the").ids
    assert pieces(byte_level(), tokens[2:])[-1] == " the"


def test_spaces_and_bytes_of_sentence_pieces():
    assert pieces(sentence_pieces(), [2, 1, 3, 4, 5, 6, 2]) == ["mill", " a", " ", "", "", "한", " mill"]


def test_no_tokens_have_no_pieces():
    assert pieces(byte_level(), []) == []
