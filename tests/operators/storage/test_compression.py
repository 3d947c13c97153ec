import bz2
import gzip
import io
import random

import pyarrow as pa
import pytest
import zstandard

from operators.storage.compression import Gap, bare_name, blocks

PACKERS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    ".lz4": lambda content: pa.Codec("lz4").compress(content, asbytes=True),
}
TEXT = random.Random(3).randbytes(150_000).hex().encode()


def unpack(packed: bytes, ending: str) -> tuple[bytes, list[Gap]]:
    found = list(blocks(io.BytesIO(packed), f"a{ending}"))
    return b"".join(part for part in found if isinstance(part, bytes)), [
        part for part in found if isinstance(part, Gap)
    ]


@pytest.mark.parametrize("ending", PACKERS)
def test_frames_one_after_another_are_one_stream(ending):
    packed = PACKERS[ending](TEXT) + PACKERS[ending](b"second")
    assert unpack(packed, ending) == (TEXT + b"second", [])
    assert unpack(b"", ending) == (b"", [])


@pytest.mark.parametrize("ending", PACKERS)
def test_a_cut_stream_gives_what_is_there_and_a_gap(ending):
    packed = PACKERS[ending](TEXT)
    content, gaps = unpack(packed[: len(packed) // 2], ending)
    assert TEXT.startswith(content) and len(gaps) == 1
    assert ending == ".bz2" or len(content) > 50_000


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".zst"])
def test_after_a_broken_frame_the_next_one_is_read(ending):
    pack = PACKERS[ending]
    middle = bytearray(pack(TEXT))
    middle[len(middle) // 2 : len(middle) // 2 + 40] = bytes(40)
    content, gaps = unpack(pack(b"first") + bytes(middle) + pack(b"last"), ending)
    assert content.startswith(b"first") and content.endswith(b"last") and gaps


def test_what_is_no_packed_file_at_all_is_a_gap():
    for ending in PACKERS:
        content, gaps = unpack(b"plain text, not packed", ending)
        assert content == b"" and len(gaps) == 1


def test_padding_after_a_gzip_is_no_damage():
    assert unpack(gzip.compress(b"x") + bytes(5000), ".gz") == (b"x", [])


def test_a_plain_name_is_read_as_it_is():
    assert unpack(b"\x1f\x8b", ".jsonl") == (b"\x1f\x8b", [])
    assert bare_name("Corpus/A.JSONL.GZ") == "corpus/a.jsonl"
