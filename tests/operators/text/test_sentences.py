import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.text.sentences import finer, sentences, sentences_of

BORDERS = {
    "english": [
        "Dr. Smith paid $3.50 at 5 p.m. to J. R. Jones, e.g. in cash. ",
        "He left. ",
        '"Stop!" ',
        "Is it No. 5?",
    ],
    "german": ["Herr Dr. Müller kam z. B. am Montag. ", "Er ging. ", "Warum?"],
    "korean": ["안녕하세요. ", "가격은 3.5달러입니다. ", "정말 좋네요! ", "그렇죠?"],
    "chinese": ["今天天气很好。", "我们去公园吧！", "你去吗？", "“好的。”", "他走了。"],
    "japanese": ["私は学生です。", "「行きますか？」", "はい！", "行きます。"],
    "arabic": ["مرحبا بالعالم. ", "كيف حالك؟ ", "أنا بخير!"],
    "hindi": ["मैं घर जा रहा हूँ। ", "तुम कैसे हो? ", "ठीक हूँ।"],
    "russian": ["Это сделал проф. Иванов. ", "Он ушёл. ", "Почему?"],
    "urdu": ["یہ ایک جملہ ہے۔ ", "دوسرا جملہ۔"],
    "amharic": ["ሰላም ነው። ", "ደህና።"],
    "numbered": ["Sentence number 1. ", "Sentence number 2. ", "Sentence number 3."],
}


@pytest.mark.parametrize("language", BORDERS)
def test_sentences_end_where_the_language_ends_them(language):
    assert sentences_of("".join(BORDERS[language])) == BORDERS[language]


def test_empty_lines_headings_and_list_items_are_borders_but_wrapped_lines_are_not():
    parts = [
        "A heading\r\n\r\n",
        "The line\nwas wrapped by\nPeter. ",
        "It ends\n\n \n",
        "- one\n",
        "- two\n",
        "1. three\n",
        "# Next\n\n",
        "x",
    ]
    assert sentences_of("".join(parts)) == parts


def test_white_space_stays_with_the_sentence_before_and_leads_only_the_first():
    assert sentences_of("\n\n  One.  \n\t\n Two.\u3000Three. ") == ["\n\n  One.  \n\t\n ", "Two.\u3000", "Three. "]


def test_a_sentence_longer_than_the_window_is_cut_at_words_and_others_are_not_cut():
    text = "Short one. " + "Word " * 100 + "end. Another short one. " + "x" * 150
    found = [piece for part in sentences(text, window=64) for piece in part]
    assert "".join(found) == text
    assert found[0] == "Short one. "
    assert "Another short one. " in found
    assert all(piece.endswith(" ") for piece in found[:-3])


@settings(max_examples=300, deadline=None)
@given(st.text(), st.integers(1, 40))
def test_reading_by_windows_loses_nothing(text, window):
    assert "".join(piece for part in sentences(text, window) for piece in part) == text


def cut_up(text: str, level: int = 0) -> list[str]:
    """Cut as finely as it goes."""
    parts, deeper = finer(text, level)
    return parts if len(parts) == 1 else [small for part in parts for small in cut_up(part, deeper)]


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1))
def test_cutting_finer_and_finer_ends_with_single_characters_and_loses_nothing(text):
    assert cut_up(text) == list(text)


def test_a_word_is_cut_between_graphemes_before_characters():
    family, flag = "👨\u200d👩\u200d👧", "🇰🇷"
    pieces, level = finer((family + flag) * 40, 0)
    while level < 5:
        assert all(piece.replace(family, "").replace(flag, "") == "" for piece in pieces)
        pieces, level = finer(pieces[0], level)
    assert pieces in ([family, flag], list(family), list(flag))
