import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
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
        f"[{A}, nul, {B}]",
        f'{{"data": [{A}, {{"text": nul}}, {B}], "version": 1}}',
        f'{{\n "data": [\n  {A},\n  {{"text": nul}},\n  {B}\n ],\n "version": 1\n}}',
        f'{A}\n{{\n"text": nul\n}}\n{B}\n'.replace(A, '{\n"text": "a"\n}').replace(B, '{\n"text": "b"\n}'),
    ],
)
def test_a_broken_item_in_the_middle_costs_itself_alone(tmp_path, content):
    assert found(tmp_path, content) == KEPT


PRETTY = json.dumps(
    [{"text": "a", "p": [{"text": "x"}]}, {"t": 1, "text": "Q"}, {"p": [{"text": "x"}], "text": "b"}], indent="INDENT"
).replace("Q", 'he said "hi"')


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (
            '[{"id":1,"text":"a"},{"id":2,"text":"he said "hi" ok"},{"text":"b","id":3},{"text":"c"},{"id":6,"text":"d"}]',
            "abcd",
        ),
        (
            '[{"text":"a","p":[{"text":"x"}]},{"text":"he said "hi"","p":[{"text":"x"},{"text":"y"}]},{"text":"b"}]',
            "ab",
        ),
        ('[{"text":"a","p":[{"text":"x"}]},{"text":nul,"p":[{"text":"x"},{"text":"y"}]},{"text":"b"}]', "ab"),
        ('[{"text":"a"},{"text":"x","p":[{"text":"x"},{"text":"y"},{"z":1,"text":"b"}]', "a"),
        ('[{"text":"a"},{"text":"he said "hi", and } more","p":[{"text":"x"}]},{"z":1,"text":"b"}]', "ab"),
        ('{"text":"a"}{"text":"he said "hi" ok","p":[{"text":"x"}]}{"z":1,"text":"b"}', "ab"),
        ('{"data":[{"text":"a"},{"text":"a "b" c"},{"z":1,"text":"b"}],"more":[{"text":"x"}]}', "ab"),
        (
            '{\n "data":[\n  {\n   "text":"a"\n  },\n  {\n   "text":"a "b" c"\n  }\n ],\n "more":[\n  {"text":"x"}\n ]\n}',
            "a",
        ),
    ],
)
def test_after_a_broken_item_all_others_are_read_and_nothing_that_is_deeper(tmp_path, content, kept):
    outcome = found(tmp_path, content)
    assert "".join(text for text, _ in outcome if text) == kept
    assert sum(reason is not None for _, reason in outcome) == 1


def test_a_broken_item_whose_end_is_not_known_costs_an_unknown_number(tmp_path):
    deep = f'[{A}, {{"text": "x", "deep": {"[" * 5000}, {B}]'
    assert found(tmp_path, deep) == [("a", None), (None, "corrupt_file"), ("b", None)]
    for before in (A, '{"text": "a", "p": [{"text": "x"}]}'):  # what begins like an item may be inside of one
        cut_off = f'[{before}, {{"text": "cut", "p": [[{{"text": "x"}}, {{"text": "y"}}, {{"text": "z", {B}]'
        assert found(tmp_path, cut_off) == [("a", None), (None, "corrupt_file")]


def test_where_what_is_deeper_begins_like_an_item_only_sound_ones_are_gone_on_with(tmp_path):
    items = [
        json.dumps({"id": n, "text": f"{n} " * 20, "p": [{"id": 1, "text": "x"}, {"id": 2, "text": "y"}]})
        for n in range(99)
    ]
    items[50] = items[50][:-25]  # cut off in the middle of what is deeper
    texts = [text for text, _ in found(tmp_path, f"[{','.join(items)}]") if text]
    assert [int(text.split()[0]) for text in texts] == [n for n in range(99) if n != 50]
    assert [reason for _, reason in found(tmp_path, f"[{','.join(items)}]") if reason] == ["corrupt_file"]


deep_records = st.recursive(
    st.fixed_dictionaries(
        {}, optional={"text": st.sampled_from(["a", "b}", 'c "d" {', "], ["]), "id": st.integers(0, 9)}
    ),
    lambda inner: st.dictionaries(st.sampled_from(["text", "p", "z"]), st.lists(inner, max_size=3) | inner, max_size=3),
    max_leaves=6,
)


def broken(draw, item: str) -> str:
    """Break the JSON of an object: a mark too many, or one too few that does not begin a list, or the end cut off."""
    at = draw(st.sampled_from([place for place, character in enumerate(item) if character in '"{}]:,']))
    changed = draw(
        st.sampled_from(
            [item[:at] + item[at + 1 :], item[:at] + '"' + item[at:], item[: at + 1] + item[at:], item[:at]]
        )
    )
    assume(changed.strip() and not valid(changed))
    return changed


def inside(value) -> list[dict]:
    """Give all objects that are in a value."""
    if not isinstance(value, dict | list):
        return []
    inner = value.values() if isinstance(value, dict) else value
    return [found for one in inner for found in [*([one] if isinstance(one, dict) else []), *inside(one)]]


def valid(content: str) -> bool:
    try:
        json.loads(content)
        return True
    except ValueError:
        return False


@settings(deadline=None)
@given(st.lists(deep_records, min_size=1, max_size=5), st.data())
def test_whatever_breaks_an_item_no_other_is_lost_without_a_word_and_none_is_made_up(records, data):
    indent = data.draw(st.sampled_from([None, 0, 2, "lines"]))
    items = [json.dumps(record, indent=indent if indent != "lines" else None) for record in records]
    at = data.draw(st.integers(0, len(items) - 1))
    items[at] = broken(data.draw, items[at])
    layout = data.draw(st.sampled_from(["[{}]", "[\n{}\n]", '{{"data": [{{}}, {}]}}']))
    content = layout.format({"lines": ",\n", None: ", "}.get(indent, ",\n").join(items))
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "a.json").write_text(content)
        outcome = rows(Path(name) / "a.json", text_column=None)
    kept = [json.loads(row["text"]) for row in outcome if row["reason"] is None]
    told = [row["reason"] for row in outcome if row["reason"]]
    assert not any(record in inside([*map(inside, records)]) for record in kept if record not in [{}, *records]), (
        content
    )
    assert len(kept) + len(told) >= len(records) or "corrupt_file" in told, content


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


def test_a_packed_array_that_is_cut_off_says_so_once(tmp_path):
    packed = gzip.compress(json.dumps([{"text": f"{number} " * 50} for number in range(2000)]).encode())
    outcome = found(tmp_path, packed[: len(packed) // 2], "a.json.gz")
    assert [reason for _, reason in outcome if reason] == ["corrupt_file"] == [outcome[-1][1]]


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
