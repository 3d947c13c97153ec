import json
import tracemalloc
from pathlib import Path

import pytest

from operators.errors import BadRequest
from operators.storage.config import InputConfig
from operators.storage.formats import json_shape
from operators.storage.listing import list_input, split_input
from operators.storage.reading import check_input, read_documents
from tests.operators.storage.documents import LOCAL, cut, read, rows

A, B = {"text": "a", "n": {"m": [1]}}, {"text": "b"}
BOTH = [("a", None), ("b", None)]


def write(folder: Path, content: str | bytes, name: str = "a.json") -> Path:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def found(path: Path, **config) -> list[tuple[str | None, str | None]]:
    return [(row["text"], row["reason"]) for row in rows(path, **config)]


def dumped(value, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent)


LAYOUTS = {
    "lines": f"{dumped(A)}\n{dumped(B)}\n",
    "lines after blank ones": f"\n \n{dumped(A)}\n\n{dumped(B)}",
    "lines with separators": f"\x1e{dumped(A)}\n\x1e{dumped(B)}\n",
    "an array in one line": dumped([A, B]),
    "an array over many": dumped([A, B], 2),
    "an array with an item a line": f"[\n{dumped(A)},\n{dumped(B)}\n]\n",
    "an array with a mark": "\ufeff" + dumped([A, B]),
    "an array in UTF-16": dumped([A, B]).encode("utf-16"),
    "arrays one after another": f"{dumped([A])}\n{dumped([B], 1)}",
    "objects over many lines": f"{dumped(A, 1)}\n{dumped(B, 1)}\n",
    "objects without a line between": dumped(A) + dumped(B),
    "lines with commas": f"{dumped(A)},\n{dumped(B)},\n",
    "an object with a list": dumped({"version": 1, "data": [A, B], "more": {"text": [1]}}),
    "an object with a list over many lines": dumped({"splits": [{"name": "train"}], "data": [A, B]}, 4),
}


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_told_from_the_beginning_and_not_from_the_name(tmp_path, layout, name):
    path = write(tmp_path, LAYOUTS[layout], name)
    assert found(path) == BOTH
    assert read(cut(path, "jsonl", [1, 7, 30, 55])) == rows(path)
    check_input(list_input(InputConfig(str(path)), LOCAL), InputConfig(str(path)), LOCAL)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (dumped({"text": "a", "links": [{"text": "inner"}]}, 1), [("a", None)]),
        (dumped({"text": "a"}), [("a", None)]),
        ('{"a\tb": [{"text": "inner"}]}', [("inner", None)]),
        ("[]", []),
        ("{}", [(None, "no_text_column")]),
        (dumped({"body": "a", "links": ["b"]}, 1), [(None, "no_text_column")]),
        (f"{dumped(A)}\n[\n1", [("a", None), (None, "invalid_json"), (None, "not_an_object")]),
        (f'["a"]\n{dumped(B)}\n', [(None, "not_an_object"), ("b", None)]),
        (f'{{"text": "cut\n{dumped(B)}', [(None, "invalid_json"), ("b", None)]),
        (f'{{"text": nul}}\n{dumped(B)}', [(None, "invalid_json"), ("b", None)]),
        (f'{{"text": "x"\n{dumped(B)}\n', [(None, "invalid_json"), ("b", None)]),
    ],
)
def test_what_only_looks_like_another_layout_is_none(tmp_path, content, expected):
    assert found(write(tmp_path, content)) == expected


def test_an_object_whose_lists_may_all_be_meant_is_refused_in_words(tmp_path):
    path = write(tmp_path, dumped({"train": [A], "test": [B]}))
    (row,) = rows(path)
    assert row["reason"] == "corrupt_file"
    assert '"train" and "test" in it are lists of objects that may be meant' in row["detail"]
    with pytest.raises(BadRequest, match=r'a\.json, read as jsonl, is one object, and "train" and "test"'):
        check_input(list_input(InputConfig(str(path)), LOCAL), InputConfig(str(path)), LOCAL)


def test_whole_records_of_an_object_are_those_of_its_list_unless_they_are_turns(tmp_path):
    listed = dumped({"version": 1, "data": [{"instruction": "i"}, {"instruction": "j"}]}, 1)
    assert [json.loads(row["text"]) for row in rows(write(tmp_path, listed), text_column=None)] == [
        {"instruction": "i"},
        {"instruction": "j"},
    ]
    chat = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}
    assert [json.loads(row["text"]) for row in rows(write(tmp_path, dumped(chat, 1)), text_column=None)] == [chat]


TOOLS = [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}]
ALONE = {
    "a chat with tools": {"id": 7, "messages": [{"role": "user", "content": "q"}], "tools": TOOLS},
    "an answer with its sources": {"instruction": "i", "output": "o", "sources": [{"url": "u"}, {"url": "v"}]},
    "a conversation in pairs": {"conversation": [{"input": "q", "output": "a"}, {"input": "r", "output": "b"}]},
    "lists of two kinds": {"speaker": "x", "links": [{"url": "u"}], "notes": [{"by": "v"}]},
    "examples of its own": {"prompt": "p", "completion": "c", "examples": [{"input": "i"}, {"input": "j"}]},
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("record", ALONE)
def test_a_whole_record_that_is_alone_stays_one_whatever_lists_it_has(tmp_path, record, indent):
    for name, content in (("a.json", dumped(ALONE[record], indent)), ("a.jsonl", dumped(ALONE[record]) + "\n")):
        assert [json.loads(row["text"]) for row in rows(write(tmp_path, content, name), text_column=None)] == [
            ALONE[record]
        ]


@pytest.mark.parametrize("key", ["data", "rows", "train", "Instances"])
def test_lists_of_whole_records_are_known_by_what_they_are_called(tmp_path, key):
    path = write(
        tmp_path, dumped({"version": 1, key: [{"instruction": "i"}, {"messages": []}], "authors": [{"name": "x"}]})
    )
    assert [json.loads(row["text"]) for row in rows(path, text_column=None)] == [{"instruction": "i"}, {"messages": []}]


def test_an_object_that_is_cut_off_gives_what_its_list_had_and_tells_of_the_rest(tmp_path):
    whole = dumped({"version": 1, "data": [A, B, A]}, 1)
    assert found(write(tmp_path, whole[:-40])) == [*BOTH, (None, "corrupt_file")]


def test_long_beginnings_are_looked_at_further(tmp_path, monkeypatch):
    monkeypatch.setattr(json_shape, "HEADS", (50, 400))
    long = {"text": "x" * 200}
    for content in (f"{dumped(long)}\n{dumped(B)}\n", dumped([long, B]), dumped({"data": [long, B]}, 2)):
        assert found(write(tmp_path, content)) == [("x" * 200, None), ("b", None)]
    longer = {"text": "x" * 900}
    for content in (f"{dumped(longer)}\n{dumped(B)}\n", dumped({"data": [longer, B]})):
        assert found(write(tmp_path, content)) == [("x" * 900, None), ("b", None)]


@pytest.mark.parametrize("frame", ["[{}]", '{{"version": 1, "data": [{}]}}'])
def test_memory_stays_flat_however_large_an_array_is(tmp_path, frame):
    item = dumped({"text": "word " * 4000})
    path = write(tmp_path, frame.format(",".join([item] * 2000)))
    settings = InputConfig(str(path))
    (split,) = split_input(list_input(settings, LOCAL), settings)
    tracemalloc.start()
    try:
        assert sum(len(piece.documents) for piece in read_documents(split, settings, LOCAL)) == 2000
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20 < path.stat().st_size / 2
    finally:
        tracemalloc.stop()
