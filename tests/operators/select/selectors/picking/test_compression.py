import base64
import random
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from operators.select.selectors.picking.compression import FORMS, List, RowBytes

WORDS = "select the rows 자료 of least ratio".split()


def row(dice):
    """Prose, code-like repeats, or what cannot be compressed."""
    kind, length = dice.randrange(3), int(dice.expovariate(1 / 600)) + 1
    if kind == 0:
        return " ".join(
            dice.choices(
                ["select", "the", "rows", "자료", "of", "least", "ratio", str(dice.random())], k=length // 5 + 1
            )
        )
    return base64.b64encode(dice.randbytes(length)).decode() if kind == 1 else dice.choice("abc\n") * length


@pytest.mark.parametrize("threads", [1, 3])
def test_ratios_are_those_of_the_whole_list_compressed_at_once(threads):
    dice, rows = random.Random(0), []
    with ThreadPoolExecutor(threads) as executor:
        growing = List(FORMS["text"], executor, threads)
        while sum(map(len, rows)) < 150_000:
            candidates = [row(dice).encode() for _ in range(4 if len(rows) % 8 == 7 else 0)]
            lists = [b"\n\n".join([*rows, candidate]) for candidate in candidates]
            assert growing.ratios(candidates).tolist() == [len(data) / len(zlib.compress(data, 9)) for data in lists]
            rows.append(row(dice).encode())
            growing.append(rows[-1])
        assert growing.ratios([]).tolist() == []


def test_a_list_of_records_is_what_python_writes():
    records = ['{"b": 1, "a": "it\'s\\n\\u00e9\\ud800", "c": null, "d": [true, 1.50]}', "{}"]
    form = FORMS["repr"]
    data = form.opening + form.between.join(map(form.row, records)) + form.closing
    assert data.decode() == """[{'b': 1, 'a': "it's\\né\\ud800", 'c': None, 'd': [True, 1.5]}, {}]"""


def test_rows_are_read_back_by_position():
    with RowBytes() as rows:
        rows.extend([b"one", b"", b"three"])
        assert rows.read([2, 0]) == [b"three", b"one"]
        rows.extend([])
        rows.extend(["넷".encode()])
        assert rows.read([3, 1, 2]) == ["넷".encode(), b"", b"three"]
