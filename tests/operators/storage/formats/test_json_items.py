import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.storage.formats import json_scan
from tests.operators.storage.documents import reasons, rows

A, B = '{"text": "a"}', '{"text": "b"}'
KEPT = [("a", None), (None, "invalid_json"), ("b", None)]


def found(folder: Path, content: str | bytes, name: str = "a.json", **config) -> list[tuple[str | None, str | None]]:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(row["text"], row["reason"]) for row in rows(folder / name, **config)]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
records = st.one_of(
    st.dictionaries(st.sampled_from(["text", "id", "x"]), values, max_size=3).map(json.dumps),
    values.map(lambda value: json.dumps(value, ensure_ascii=False)),
    st.sampled_from(
        ['{"text": "\\ud800"}', '{"text": "x", "n": NaN, "m": -Infinity}', '{"text": "x", "n": 1e999}', "{}"]
    ),
)


@given(st.lists(records, min_size=1, max_size=6), st.sampled_from([",", ", ", ",\n", "\n ,\r\n", "\n"]), st.booleans())
def test_the_items_of_an_array_are_what_the_lines_of_a_file_would_be(items, between, whole):
    config = {"text_column": None if whole else "text"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        array = f"[\n{between.join(items)}\n]" if "\n" in between else f"[{between.join(items)}]"
        assert found(folder, array, **config) == found(folder, "0\n" + "\n".join(items), "b.jsonl", **config)[1:]


@pytest.mark.parametrize(
    "content",
    [
        f'[{A}, {{"text": nul}}, {B}]',
        f'[{A}, {{"text": "x",}}, {B}]',
        f'[{A},\n{{"text": "cut,\n{B}\n]',
        f'[{A}, {{"text": "x", {B}]',
        f'[{A}, {{"text": "x"}}}}, {B}]'.replace('"x"}', '"x"]', 1),
        f'[{A}, "text": "x"}}, {B}]',
        f'[{A}, {{"text": "x" "y"}}, {B}]',
        f'[{A}, {{"text": "line\nbreak"}}, {B}]',
        f'[\r\n  {A},\r\n  {{"text": "x", "links": [\r\n    {{"text": "inner"\r\n  {B}\r\n]',
        f'[{A}, {{"text": "x", "deep": {"[" * 5000}, {B}]',
        f"[{A}, nul, {B}]",
        f'{{"data": [{A}, {{"text": nul}}, {B}], "version": 1}}',
        f'{{\n "data": [\n  {A},\n  {{"text": nul}},\n  {B}\n ],\n "version": 1\n}}',
        f'{A}\n{{\n"text": nul\n}}\n{B}\n'.replace(A, '{\n"text": "a"\n}').replace(B, '{\n"text": "b"\n}'),
    ],
)
def test_a_broken_item_in_the_middle_costs_itself_alone(tmp_path, content):
    assert found(tmp_path, content) == KEPT


def test_a_broken_item_says_where_it_is_and_what_is_wrong(tmp_path):
    (tmp_path / "a.json").write_text(f'[{A},\n{{"text": nul}}, {B}]')
    detail = rows(tmp_path / "a.json")[1]["detail"]
    assert detail.startswith("value 1, at byte 16: Expecting value")


def test_commas_too_many_or_too_few_cost_nothing(tmp_path):
    for content in (f"[{A},,{B},]", f"[{A}{B}]", f"[,{A}\n{B}]"):
        assert found(tmp_path, content) == [("a", None), ("b", None)]


def test_an_array_that_is_cut_off_keeps_what_is_whole_and_tells_of_the_rest(tmp_path):
    for content in (f"[{A},{B}", f"[{A},{B},", f'[{A},{B},{{"te', f'[{A},{B},{{"text": "cut', f"[{A},{B},{{"):
        assert found(tmp_path, content) == [("a", None), ("b", None), (None, "corrupt_file")]


def test_after_packed_bytes_that_are_lost_the_next_item_is_found(tmp_path):
    items = [json.dumps({"text": f"{number} " + "word " * 9}) for number in range(3000)]
    members = [gzip.compress(",\n".join(items[at : at + 1000]).encode()) for at in (0, 1000, 2000)]
    middle = bytearray(members[1])
    middle[100:130] = bytes(30)
    content = gzip.compress(b"[\n") + members[0] + gzip.compress(b",\n") + bytes(middle)
    content += gzip.compress(b",\n") + members[2] + gzip.compress(b"\n]")
    outcome = found(tmp_path, content, "a.json.gz")
    texts = [int(text.split()[0]) for text, _ in outcome if text]
    assert set(range(1000)) | set(range(2001, 3000)) <= set(texts) and len(texts) == len(set(texts))
    assert {reason for _, reason in outcome} == {None, "corrupt_file"}


def test_an_item_too_large_to_hold_costs_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(json_scan, "MAX_RECORD", 2**20)
    large = json.dumps({"text": "x" * 2**23})
    assert found(tmp_path, f"[{A}, {large}, {B}]") == KEPT


def test_scalars_are_items_too(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(["long " * 5000, 1, None, {"text": "x"}, [1], True]))
    assert reasons(tmp_path / "a.json") == [*["not_an_object"] * 3, None, *["not_an_object"] * 2]
