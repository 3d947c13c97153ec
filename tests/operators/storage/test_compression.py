import bz2
import gzip
import io
import lzma
import random

import pyarrow as pa
import pytest
import zstandard

from operators.storage.compression import Gap, Stream, blocks
from operators.storage.packing import bare_name, packed_how

PACKERS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
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


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_after_a_broken_frame_the_next_one_is_read(ending):
    pack = PACKERS[ending]
    middle = bytearray(pack(TEXT))
    middle[len(middle) // 2 : len(middle) // 2 + 40] = bytes(40)
    content, gaps = unpack(pack(b"first") + bytes(middle) + pack(b"last"), ending)
    assert content.startswith(b"first") and content.endswith(b"last") and gaps


def test_what_is_no_packed_file_at_all_is_a_gap():
    for ending in PACKERS:
        content, gaps = unpack(b"\x07\x01 neither text nor packed " * 9, ending)
        assert content == b"" and len(gaps) == 1


@pytest.mark.parametrize("named", [*PACKERS, "", ".txt"])
def test_the_first_bytes_tell_how_a_file_is_packed_and_not_its_name(named):
    assert unpack(b"plain text, not packed", named) == (b"plain text, not packed", [])
    assert unpack("caf\xe9 in latin-1".encode("latin-1"), named) == ("caf\xe9 in latin-1".encode("latin-1"), [])
    for ending, pack in PACKERS.items():
        assert unpack(pack(TEXT), named) == (TEXT, []), ending
        handle = io.BytesIO(pack(b"x"))
        assert (packed_how(handle, f"a{named}"), handle.tell()) == (ending, 0)
    assert packed_how(io.BytesIO(b"{}"), f"a{named}") is packed_how(io.BytesIO(b""), f"a{named}") is None


def test_what_is_packed_twice_is_unpacked_twice():
    twice = gzip.compress(bz2.compress(TEXT))
    assert unpack(twice, ".gz") == unpack(twice, ".jsonl") == (TEXT, [])
    content, gaps = unpack(gzip.compress(gzip.compress(TEXT))[:-40_000], ".gz")
    assert TEXT.startswith(content) and len(content) > 50_000 and len(gaps) == 1


@pytest.mark.parametrize("ending", PACKERS)
def test_damage_of_the_outer_of_two_packings_is_told(ending):
    outer = gzip.compress(PACKERS[ending](TEXT))
    content, gaps = unpack(outer + outer[:12] + b"\xff\xff\xff", ".gz")
    assert (content, len(gaps)) == (TEXT, 1)


def test_a_plain_beginning_counts_more_than_the_name():
    for content in (
        b"PAR1\x15\0\x15",
        b"ARROW1\0\0\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xf8\0\0\0",
        b'\x1e{"text": "a"}\n',
    ):
        for ending in PACKERS:
            assert unpack(content, ending) == (content, [])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_text_in_another_encoding_becomes_utf_8_where_its_mark_tells_so(encoding):
    text = "글 \U0001f600 text\n" * 1000
    marked = ("\ufeff" + text).encode(encoding)
    assert unpack(marked, ".txt") == unpack(gzip.compress(marked), ".gz") == (("\ufeff" + text).encode(), [])
    content, gaps = unpack(marked[:-1], ".txt")
    assert content == ("\ufeff" + text[:-1]).encode() and len(gaps) == 1


def test_half_a_surrogate_pair_is_left_to_its_record():
    assert unpack(b"\xff\xfea\0\x00\xd8b\0", "") == (b"\xef\xbb\xbfa\xed\xa0\x80b", [])


def test_padding_between_streams_of_xz_is_no_damage():
    assert unpack(lzma.compress(b"a") + bytes(64) + lzma.compress(b"b") + bytes(8), ".xz") == (b"ab", [])


def skipped(content: bytes, number: int) -> bytes:
    return bytes([0x50 + number]) + b"\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content


@pytest.mark.parametrize("dictionary_packed", [False, True])
def test_the_dictionary_that_a_warc_begins_with_unpacks_its_frames(dictionary_packed):
    texts = [f"WARC/1.0 record {number} of many that are much alike".encode() * 3 for number in range(300)]
    dictionary = zstandard.train_dictionary(2000, texts)
    pack = zstandard.ZstdCompressor(dict_data=dictionary).compress
    learned = dictionary.as_bytes()
    begin = skipped(zstandard.compress(learned) if dictionary_packed else learned, 0xD)
    packed = begin + b"".join(map(pack, texts)) + skipped(b"an index", 3)
    assert unpack(packed, ".zst") == unpack(packed, ".warc") == (b"".join(texts), [])
    content, gaps = unpack(b"".join(map(pack, texts)), ".zst")
    assert content == b"" and gaps
    content, gaps = unpack(skipped(b"no dictionary at all", 0xD) + pack(texts[0]), ".zst")
    assert gaps


def test_frames_that_are_skipped_have_no_content():
    pack = PACKERS[".zst"]
    assert unpack(skipped(b"x" * 5000, 0) + pack(b"a") + skipped(b"", 7) + pack(b"b"), ".zst") == (b"ab", [])


def test_parts_are_read_like_a_file_up_to_the_first_gap():
    stream = Stream(iter([b"ab", b"", b"cde", Gap("broken"), b"f"]))
    assert [stream.read(1), stream.read(3), stream.read(9), stream.read(9), stream.read()] == [
        b"a",
        b"bcd",
        b"e",
        b"",
        b"",
    ]
    assert stream.gap == Gap("broken") and Stream(iter([b"ab", b"c"])).read() == b"abc"


def test_padding_after_a_gzip_is_no_damage():
    assert unpack(gzip.compress(b"x") + bytes(5000), ".gz") == (b"x", [])


def test_a_plain_name_is_read_as_it_is():
    assert unpack(b"\x1f\x8b", ".jsonl") == (b"\x1f\x8b", [])
    assert bare_name("Corpus/A.JSONL.GZ") == "corpus/a.jsonl"
