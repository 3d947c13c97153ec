import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.tokens import pack as pack_module
from operators.tokens.pack import ExamplePacker, PackConfig, Packer
from operators.tokens.rows import Packing, checksums, packing_of, rows_of

EOS, T = 9, 8


def packing(**changes) -> Packing:
    return Packing(**{"window": T, "cross_document": False, "tokenizer": "t", "vocabulary": 100, "eos": EOS} | changes)


def packed(*documents: list[int], rows: int = 3, how: Packing | None = None, targets: dict | None = None) -> list:
    packer = Packer(how or packing(), rows, "name")
    parts = [
        part
        for number, tokens in enumerate(documents)
        for part in packer.add(np.array(tokens, np.int32), (targets or {}).get(number))
    ]
    return [*parts, *packer.finish()]


DOCUMENTS = st.lists(
    st.lists(st.integers(10, 99), min_size=0, max_size=40).map(lambda tokens: [*tokens, EOS]), max_size=12
)


@given(DOCUMENTS, st.integers(1, 4), st.booleans())
def test_the_documents_stand_one_after_the_other_and_nothing_is_lost(documents, rows, cross):
    parts = packed(*documents, rows=rows, how=packing(cross_document=cross))
    tokens = np.concatenate([np.empty((0, T), int), *(part.tokens_RT for part in parts)]).ravel()
    targets = np.concatenate([np.empty((0, T), bool), *(part.targets_RT for part in parts)]).ravel()
    starts = np.concatenate([np.empty((0, T), bool), *(part.starts_RT for part in parts)]).ravel()
    assert tokens[targets].tolist() == [token for document in documents for token in document]
    begins = np.cumsum([0, *map(len, documents)])[:-1]
    assert np.flatnonzero(starts & targets).tolist() == begins.tolist()
    assert (~targets).sum() < T and len(tokens) == len(targets)
    ids = [id for part in parts for id in part.ids]
    assert ids == [f"name-{number}" for number in range(len(ids))]


@given(DOCUMENTS, st.booleans())
def test_a_part_comes_back_from_its_table_as_it_was(documents, cross):
    for part in packed(*documents, how=packing(cross_document=cross)):
        back = rows_of(part.table())
        assert back.packing == part.packing and back.ids == part.ids
        for name in ("tokens_RT", "starts_RT", "targets_RT"):
            np.testing.assert_array_equal(getattr(back, name), getattr(part, name))


@given(DOCUMENTS)
def test_contexts_tile_the_rows_and_positions_count_in_them(documents):
    for part in packed(*documents):
        covered = np.zeros_like(part.tokens_RT)
        for row, begin, end in part.segments():
            covered[row, begin:end] += 1
            np.testing.assert_array_equal(part.positions_RT[row, begin:end], np.arange(end - begin))
        assert (covered == 1).all()


def test_a_target_has_a_prediction_unless_its_context_begins_there():
    (part,) = packed([10, 11, EOS], [12, 13, 14, 15, 16, 17, EOS])
    assert part.defined_RT.tolist() == [
        [False, True, True, False, True, True, True, True],
        [False, True, False, False, False, False, False, False],  # a cut document, and padding
    ]
    (across,) = packed([10, 11, EOS], [12, 13, 14, 15, 16, 17, EOS], how=packing(cross_document=True))
    assert across.defined_RT[0].tolist() == [False] + [True] * 7


def test_padding_is_a_context_of_its_own():
    (part,) = packed([10, EOS])
    assert part.segments().tolist() == [[0, 0, 2], [0, 2, T]] and not part.defined_RT[0, 2:].any()


def test_what_is_no_target_stays_none_also_where_a_row_ends_in_it():
    learned = np.array([False] * 3 + [True] + [False] * 6 + [True] * 3)
    (part,) = packed([*range(10, 22), EOS], targets={0: learned})
    assert part.targets_RT.ravel().tolist() == [*learned.tolist(), False, False, False]


def test_tokens_of_a_large_vocabulary_are_int32_and_of_a_small_one_uint16():
    (small,) = packed([10, EOS], how=packing(vocabulary=2**16))
    (large,) = packed([70_000, EOS], how=packing(vocabulary=2**16 + 1))
    assert small.table().schema.field("tokens").type.value_type == pa.uint16()
    assert large.table().schema.field("tokens").type.value_type == pa.int32()
    assert large.tokens_RT[0, 0] == 70_000


def test_a_checksum_is_that_of_the_tokens_whatever_type_holds_them():
    tokens = np.arange(16).reshape(2, 8)
    assert checksums(tokens.astype(np.uint16)).tolist() == checksums(tokens).tolist()
    assert len(set(checksums(tokens).tolist())) == 2


def test_the_part_is_memory_mapped_without_a_copy(tmp_path):
    (part,) = packed([10, EOS], rows=1)
    with pa.ipc.new_file(str(tmp_path / "part.arrow"), part.table().schema) as writer:
        writer.write_table(part.table())
    before = pa.total_allocated_bytes()
    table = pa.ipc.open_file(pa.memory_map(str(tmp_path / "part.arrow"))).read_all()
    tokens = rows_of(table).tokens_RT
    assert not tokens.flags.owndata and tokens[0, 0] == 10 and pa.total_allocated_bytes() == before


def examples_packed(*sizes: int, rows: int = 3, waiting: int | None = None) -> list:
    """Pack examples of so many tokens, each with a number of its own, of which the last is learned."""
    packer = ExamplePacker(packing(), rows, "name")
    packer.most = waiting or packer.most
    parts = []
    for number, size in enumerate(sizes):
        parts += packer.add(np.full(size, number + 10, np.int32), np.arange(size) == size - 1)
    return [*parts, *packer.finish()]


@given(st.lists(st.integers(1, T), max_size=40), st.integers(1, 4), st.integers(T, 5 * T), st.integers(0, 3))
def test_no_example_is_cut_none_is_lost_and_all_begin_a_context(sizes, rows, waiting, stay):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack_module, "OPEN", stay)
        parts, again = (examples_packed(*sizes, rows=rows, waiting=waiting) for _ in range(2))
    found = {}
    for part in parts:
        for row, begin, end in part.segments():
            tokens, targets = part.tokens_RT[row, begin:end], part.targets_RT[row, begin:end]
            if not targets.any():
                assert end == T and (tokens == EOS).all()  # padding stands at the end of a row
                continue
            assert len(set(tokens.tolist())) == 1 and targets.tolist() == [False] * (len(tokens) - 1) + [True]
            assert tokens[0] not in found
            found[int(tokens[0])] = len(tokens)
    assert found == {number + 10: size for number, size in enumerate(sizes)}
    ids = [id for part in parts for id in part.ids]
    assert ids == [f"name-{number}" for number in range(len(ids))] and all(len(part.ids) <= rows for part in parts)
    assert [part.tokens_RT.tolist() for part in parts] == [part.tokens_RT.tolist() for part in again]


def test_examples_fill_rows_where_they_leave_the_least_room():
    (part,) = examples_packed(3, 5, 2, 6, 4, 4, rows=9)
    assert [list(dict.fromkeys(row.tolist())) for row in part.tokens_RT] == [[10, 11], [12, 13], [14, 15]]


def test_open_rows_wait_for_examples_to_come_and_memory_is_that_of_what_waits():
    packer = ExamplePacker(packing(), 2, "name")
    packer.most = 2 * T
    made = 0
    for _ in range(200):
        made += sum(len(part.ids) for part in packer.add(np.full(5, 10, np.int32)))
        made += sum(len(part.ids) for part in packer.add(np.full(3, 11, np.int32)))
        assert len(packer.waiting) <= 6 and len(packer.open) <= pack_module.OPEN
    assert made + sum(len(part.ids) for part in packer.finish()) == 200 and packer.packed == 200 * T


def test_an_example_that_waits_keeps_nothing_else_in_memory():
    packer = ExamplePacker(packing(), 2, "name")
    read = np.arange(1000, dtype=np.int32)
    list(packer.add(read[:5], np.ones(1000, bool)[:5]))
    (waits,) = packer.waiting
    assert waits.tokens.base is None and waits.targets.base is None


def test_what_was_not_packed_is_told():
    with pytest.raises(BadRequest, match=r"no packed tokens: `gristmill run pack` makes them"):
        packing_of(pa.schema([("text", pa.string())]))
    with pytest.raises(BadRequest, match=r"format 2, and this version reads 1"):
        packing_of(packing(format=2).schema)


@pytest.mark.parametrize(
    ("words", "said"), [({"window": 7}, "pack.window"), ({"rows_per_part": 0}, "pack.rows_per_part")]
)
def test_sizes_that_cannot_be_are_refused(words, said):
    with pytest.raises(BadRequest, match=f"{said} is a number of .* from"):
        PackConfig(**words)


def test_what_becomes_of_long_examples_is_one_of_three():
    with pytest.raises(BadRequest, match=r"pack.too_long is 'cut'. It may be truncate, drop, split"):
        PackConfig(too_long="cut")


def test_packing_knows_the_templates_that_there_are():
    with pytest.raises(BadRequest, match=r"pack.template: no template 'vicuna'"):
        PackConfig(template="vicuna")


@pytest.mark.parametrize("table", [packing().schema.empty_table(), pa.Table.from_batches([], packing().schema)])
def test_a_part_without_rows_is_read_as_one(table):
    rows = rows_of(table)
    assert rows.tokens_RT.shape == rows.defined_RT.shape == rows.positions_RT.shape == (0, T)
    assert rows.segments().shape == (0, 3) and checksums(rows.tokens_RT).shape == (0,)
    assert rows.table().schema == packing().schema
