import threading
from dataclasses import replace

import numpy as np
import pytest

from operators.errors import BadRequest
from operators.learn.training.data.feeding import Feeder, Shards
from operators.learn.training.data.order import DataOrder
from operators.tokens.rows import rows_of
from tests.operators.learn.training.small import PACKING, packed, scored, shards


def feeder(of: Shards, seed=0, shuffle_shards=2) -> Feeder:
    return Feeder(of, DataOrder(of.rows, seed, shuffle_shards))


def test_a_batch_has_the_rows_that_the_order_names_with_their_scores():
    of = shards([3, 0, 2, 4], ("reference_loss",))
    feeding = feeder(of)
    for samples in (range(0, 9), range(5, 14), range(100, 101)):
        batch = feeding.batch(samples)
        places = feeding.order.places(samples.start, samples.stop).tolist()
        for index, (shard, row) in enumerate(places):
            table, scores = of.load(shard)
            rows = rows_of(table)
            assert batch.samples[index] == (rows.ids[row], shard)
            assert np.array_equal(batch.tokens_BT[index], rows.tokens_RT[row])
            assert np.array_equal(batch.positions_BT[index], rows.positions_RT[row])
            assert np.array_equal(batch.defined_BT[index], rows.defined_RT[row])
            assert np.array_equal(batch.columns["reference_loss"][index], scores["reference_loss"][row].as_py())


def test_only_the_groups_in_use_and_the_next_are_loaded():
    of, loads = shards([4] * 10), []
    counting = replace(of, load=lambda number: loads.append(number) or of.load(number))
    feeding = feeder(counting, shuffle_shards=2)
    for first in range(0, 16, 4):
        feeding.batch(range(first, first + 4))
    feeding._loader.shutdown(wait=True)  # what is loaded ahead, too
    assert sorted(set(loads)) == sorted(loads) and len(loads) == 6
    assert len(feeding._held) == 2


def test_the_next_group_is_loaded_in_a_thread_meanwhile():
    of, arrived = shards([4] * 4), threading.Event()
    order = DataOrder(of.rows, 0, 1)
    coming = order.group(4).shards[0]

    def load(number):
        if number == coming:
            assert threading.current_thread() is not threading.main_thread()
            arrived.set()
        return of.load(number)

    Feeder(replace(of, load=load), order).batch(range(0, 4))
    assert arrived.wait(timeout=10)


def test_without_eos_the_ends_of_documents_are_no_targets():
    with_eos = feeder(shards([5])).batch(range(5))
    without = feeder(replace(shards([5]), eos=False)).batch(range(5))
    gone = with_eos.defined_BT & ~without.defined_BT
    assert gone.any() and (with_eos.tokens_BT[gone] == PACKING.eos).all()
    assert not (without.tokens_BT[without.defined_BT] == PACKING.eos).any()


def test_rows_that_are_one_context_have_no_positions():
    packing = replace(PACKING, cross_document=True)
    of = Shards(packing, [3], lambda number: (packed(3, packing=packing), None))
    assert feeder(of).batch(range(3)).positions_BT is None


def table_without(name):
    return lambda table: scored(table).drop(name)


def other_tokens(table):
    scores = scored(table)
    checksums = scores["checksum"].to_numpy().copy()
    checksums[1] += np.uint64(1)
    return scores.set_column(1, "checksum", [checksums])


WRONG = [
    (table_without("reference_loss"), "the loss reads reference_loss"),
    (lambda table: None, "nothing"),
    (lambda table: scored(table).take([1, 0, 2]), "other rows"),
    (lambda table: scored(table).slice(0, 2), "other rows"),
    (other_tokens, r"'s0r1' of shard 0 are of other tokens"),
]


@pytest.mark.parametrize(("scores", "words"), WRONG)
def test_scores_of_something_else_are_refused(scores, words):
    table = packed(3)
    of = Shards(PACKING, [3], lambda number: (table, scores(table)), ("reference_loss",))
    with pytest.raises(BadRequest, match=words):
        feeder(of).batch(range(3))


def test_a_shard_that_is_not_what_was_said_is_refused():
    with pytest.raises(BadRequest, match="shard 0 has 3 rows and its artifact says 4"):
        feeder(Shards(PACKING, [4], lambda number: (packed(3), None))).batch(range(3))
    with pytest.raises(BadRequest, match="packed in another way"):
        feeder(Shards(replace(PACKING, eos=0), [3], lambda number: (packed(3), None))).batch(range(3))
