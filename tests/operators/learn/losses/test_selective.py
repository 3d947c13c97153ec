import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from operators.learn.losses import build_loss
from operators.learn.losses.base import BadValue, LossRows
from operators.learn.losses.config import SCOPES, SCORES, LossConfig
from operators.learn.losses.selective import choose, combined, keep_at
from tests.operators.learn.losses import oracle

NAN = math.nan
LOSS = [NAN, 2.0, 1.0, 3.0, 1.0, 0.5]  # the worked example of the specification
REFERENCE = [NAN, 1.0, 1.0, 2.5, 0.0, 0.75]
STATIC = [score for score in SCORES if score != "excess"]

# Values on a grid: exact in float16, so that there are ties, and what is equal for us is equal for the oracle.
grid = st.integers(0, 64).map(lambda eighths: eighths / 8)


@st.composite
def batches(draw):
    """Rows with candidates anywhere but at the first place; NaN wherever there is none."""
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 24))
    defined = draw(arrays(bool, shape))
    defined[:, 0] = False
    values = {
        name: np.where(defined, draw(arrays(np.float64, shape, elements=grid)), NAN)
        for name in ("nll", "reference_loss", "reference_entropy")
    }
    return defined, values.pop("nll"), values


shares = st.one_of(st.sampled_from([0.2, 0.29, 0.5, 0.6, 0.7, 1.0]), st.floats(0.001, 1.0))


def rows(defined, nll=None, columns=None, dtype=torch.float16, **others):
    return LossRows(
        torch.as_tensor(defined),
        {name: torch.tensor(np.asarray(values), dtype=dtype) for name, values in (columns or {}).items()},
        nll_RT=None if nll is None else torch.tensor(np.asarray(nll), dtype=torch.float32),
        **others,
    )


def weigh(config, defined, nll=None, columns=None, **others):
    return build_loss(config)(rows(defined, nll, columns, **others))


def selective(**given):
    return LossConfig(**{"name": "selective"} | given)


def example(**given):
    """Give the places of the worked example that are kept."""
    defined = [[not math.isnan(loss) for loss in LOSS]]
    return weigh(selective(**given), defined, [LOSS], {"reference_loss": [REFERENCE]})[0].nonzero().flatten().tolist()


@pytest.mark.parametrize(("keep", "places"), [(0.6, [1, 3, 4]), (0.2, [1]), (1.0, [1, 2, 3, 4, 5]), (0.1, [])])
@pytest.mark.parametrize("scope", SCOPES)
def test_the_worked_example(keep, places, scope):
    assert example(keep=keep, scope=scope) == places


@settings(max_examples=150, deadline=None)
@given(batches(), shares, st.none() | shares, st.sampled_from(SCORES), st.sampled_from(SCOPES), st.data())
def test_every_score_and_scope_chooses_as_a_plain_sort_does(batch, keep, keep_entropy, score, scope, data):
    defined, nll, columns = batch
    config = selective(
        score=score,
        scope=scope,
        keep=keep,
        keep_entropy=keep_entropy,
        min_keep=data.draw(st.integers(0, 1)),
        warmup_steps=data.draw(st.sampled_from([0, 7])),
        normalise=data.draw(st.sampled_from(["tokens", "sequence_mean"])),
    )
    step = data.draw(st.integers(0, 9))
    weights_RT = weigh(config, defined, nll, columns, step=step)
    assert weights_RT.dtype == torch.float32
    np.testing.assert_allclose(weights_RT.numpy(), oracle.weights(config, defined, columns, nll, step), rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(batches(), shares)
def test_exactly_floor_of_the_share_is_kept_in_each_group(batch, keep):
    defined, nll, columns = batch
    kept = (weigh(selective(keep=keep), defined, nll, columns) > 0).sum(1).tolist()
    assert kept == [math.floor(keep * int(count)) for count in defined.sum(1)]
    kept = (weigh(selective(keep=keep, scope="global"), defined, nll, columns) > 0).sum().item()
    assert kept == math.floor(keep * int(defined.sum()))


@settings(max_examples=50, deadline=None)
@given(batches(), shares, shares, st.sampled_from(["excess", "reference_loss", "reference_entropy"]))
def test_a_larger_share_keeps_all_that_a_smaller_one_keeps(batch, one, other, score):
    defined, nll, columns = batch
    less, more = (weigh(selective(score=score, keep=keep), defined, nll, columns) > 0 for keep in sorted((one, other)))
    assert not (less & ~more).any()


@settings(max_examples=50, deadline=None)
@given(batches(), shares, st.integers(-16, 16))
def test_the_kept_have_the_highest_excess_and_a_constant_changes_nothing(batch, keep, eighths):
    defined, nll, columns = batch
    kept = weigh(selective(keep=keep, scope="global"), defined, nll, columns) > 0
    excess = torch.tensor(nll - columns["reference_loss"])
    if kept.any() and (torch.tensor(defined) & ~kept).any():
        assert excess[kept].min() >= excess[torch.tensor(defined) & ~kept].max()
    again = weigh(selective(keep=keep, scope="global"), defined, nll + eighths / 8, columns) > 0
    assert torch.equal(kept, again)


@pytest.mark.parametrize("score", ["excess", "reference_loss", "reference_entropy"])
def test_of_equal_scores_the_earliest_are_kept(score):
    defined = np.arange(10)[None].repeat(2, 0) > 1
    same = np.full((2, 10), 1.5)
    columns = {"reference_loss": same, "reference_entropy": same}
    weights_RT = weigh(selective(score=score, keep=0.5), defined, same, columns)
    assert weights_RT.nonzero()[:, 1].tolist() == [2, 3, 4, 5] * 2
    weights_RT = weigh(selective(score=score, keep=0.5, scope="microbatch"), defined, same, columns)
    assert weights_RT.nonzero().tolist() == [[0, place] for place in range(2, 10)]


@settings(max_examples=50, deadline=None)
@given(batches(), st.sampled_from(SCORES), st.sampled_from(SCOPES))
def test_rows_and_places_without_candidates_change_nothing(batch, score, scope):
    defined, nll, columns = batch

    def widen(values, fill):
        return np.pad(values, ((1, 1), (0, 3)), constant_values=fill)

    padded = {name: widen(values, NAN) for name, values in columns.items()}
    weights_RT = weigh(selective(score=score, scope=scope), defined, nll, columns)
    wide_RT = weigh(selective(score=score, scope=scope), widen(defined, False), widen(nll, NAN), padded)
    assert torch.equal(wide_RT[1:-1, :-3], weights_RT)
    assert wide_RT.sum() == weights_RT.sum()


@pytest.mark.parametrize("score", STATIC)
def test_static_scores_do_not_look_at_the_model(score):
    torch.manual_seed(1)
    defined = torch.ones(2, 9, dtype=torch.bool)
    columns = {name: torch.rand(2, 9) for name in ("reference_loss", "reference_entropy")}
    one, other, none = (
        weigh(selective(score=score), defined, nll, columns)
        for nll in (columns["reference_loss"], 9 * torch.rand(2, 9), None)
    )
    assert torch.equal(one, other)
    assert torch.equal(one, none)


@settings(max_examples=50, deadline=None)
@given(batches(), shares, shares)
def test_intersection_and_union_count_as_sets_do(batch, keep, keep_entropy):
    defined, _, columns = batch

    def count(score, **given):
        return (weigh(selective(score=score, **given), defined, None, columns) > 0).sum()

    both = {"keep": keep, "keep_entropy": keep_entropy}
    apart = count("reference_loss", keep=keep) + count("reference_entropy", keep=keep_entropy)
    assert count("intersection", **both) + count("union", **both) == apart


def test_min_keep_saves_a_group_from_being_empty_but_makes_no_candidates():
    defined = [[False, True, True], [False, False, False]]
    ones = np.ones((2, 3))
    for min_keep, kept in ((0, []), (1, [[0, 1]])):
        weights_RT = weigh(selective(keep=0.1, min_keep=min_keep), defined, ones, {"reference_loss": ones})
        assert weights_RT.nonzero().tolist() == kept


@pytest.mark.parametrize("bad", [NAN, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["nll", "reference_loss"])
def test_a_candidate_without_a_finite_number_is_an_error_that_names_the_row(bad, where):
    values = {"nll": np.ones((2, 3)), "reference_loss": np.ones((2, 3))}
    values[where][1, 2] = bad
    with pytest.raises(BadValue, match="token 2 of row 8") as caught:
        weigh(
            selective(), np.ones((2, 3), bool), values["nll"], {"reference_loss": values["reference_loss"]}, first_row=7
        )
    assert caught.value.row == 8
    assert pickle.loads(pickle.dumps(caught.value)).row == 8


def test_infinity_is_an_error_even_where_nothing_is_defined():
    reference = np.array([[math.inf, 1.0]])
    with pytest.raises(BadValue, match="reference_loss is inf at token 0 of row 0"):
        weigh(selective(), [[False, True]], np.ones((1, 2)), {"reference_loss": reference})


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("keep", [0.1, 0.6, 1.0])
def test_soft_weights_become_the_choice_as_the_temperature_falls(scope, keep):
    torch.manual_seed(3)
    defined = torch.rand(3, 12) > 0.3
    nll, reference = 4 * torch.rand(3, 12), {"reference_loss": 4 * torch.rand(3, 12)}
    hard, cold, warm = (
        weigh(selective(scope=scope, keep=keep, temperature=temperature), defined, nll, reference, dtype=torch.float32)
        for temperature in (None, 1e-6, 0.5)
    )
    torch.testing.assert_close(cold, hard)
    assert not warm[~defined].any()
    if keep == 0.6:
        assert 0 < warm[defined].min() < warm[defined].max() < 1


def test_a_soft_weight_is_the_sigmoid_of_the_distance_to_the_boundary():
    scores = torch.tensor([[4.0, 1.0, 2.0, 0.0]])
    weights_RT = weigh(
        selective(keep=0.5, temperature=0.5), [[True] * 4], scores, {"reference_loss": torch.zeros(1, 4)}
    )
    torch.testing.assert_close(weights_RT, torch.sigmoid((scores - 1.5) / 0.5))


def test_the_share_falls_in_a_line_while_warming_up_and_is_exact_afterwards():
    assert [keep_at(step, 0.6, 4) for step in range(6)] == pytest.approx([1, 0.9, 0.8, 0.7, 0.6, 0.6])
    assert keep_at(4, 0.3, 4) == keep_at(0, 0.3, 0) == 0.3


def test_several_references_are_combined_before_anything_is_subtracted():
    one, two = torch.tensor([1.0, 3.0]), torch.tensor([2.0, 1.0])
    assert combined([one, two], "mean").tolist() == [1.5, 2.0]
    assert combined([one, two], "min").tolist() == [1.0, 1.0]
    mixture = -torch.log((torch.exp(-one) + torch.exp(-two)) / 2)
    torch.testing.assert_close(combined([one, two], "mixture"), mixture)
    assert torch.equal(combined([one], "mixture"), one)


@pytest.mark.parametrize("combine", ["mean", "min", "mixture"])
def test_several_references_choose_as_the_oracle_does(combine):
    torch.manual_seed(4)
    nll, config = 4 * torch.rand(3, 20), selective(combine=combine, scope="global")
    columns = {f"reference_loss_{number}": 4 * torch.rand(3, 20) for number in (1, 2, 3)}
    defined = torch.ones(3, 20, dtype=torch.bool)
    weights_RT = build_loss(config, references=3)(LossRows(defined, columns, nll_RT=nll))
    np.testing.assert_array_equal(weights_RT, oracle.weights(config, defined, columns, nll))


def test_plain_cross_entropy_weighs_candidates_alike():
    defined = torch.tensor([[False, True, True], [False, False, True], [False, False, False]])
    assert torch.equal(weigh(LossConfig(), defined), defined.float())
    by_row = weigh(LossConfig(normalise="sequence_mean"), defined)
    assert by_row.tolist() == [[0, 0.5, 0.5], [0, 0, 1], [0, 0, 0]]


def top(score, defined, keep=0.6, candidates=None):
    """Choose by score in each row, as ours does for right scores."""
    candidates = defined if candidates is None else candidates
    return choose(torch.tensor(score), torch.tensor(candidates), keep)[0].numpy()


def at_least_the_boundary(loss, reference, defined):
    score = np.where(defined, loss - reference, -math.inf)
    counts = np.floor(0.6 * defined.sum(1)).astype(int)
    return np.stack([row >= np.sort(row)[::-1][count - 1] for row, count in zip(score, counts, strict=True)])


def bfloat16(values):
    return torch.tensor(values).bfloat16().double().numpy()


WRONG = {
    "raw logits": lambda loss, reference, defined: top(loss - reference - np.linspace(0, 9, loss.shape[1]), defined),
    "all above the boundary": at_least_the_boundary,
    "marks one place late": lambda loss, reference, defined: np.roll(top(loss - reference, defined), 1, axis=1),
    "share of all places": lambda loss, reference, defined: top(loss - reference, defined, 0.6 * 40 / 30),
    "a first token with loss 0": lambda loss, reference, defined: top(
        np.where(defined, loss - reference, 0), defined, candidates=defined | (np.arange(40) == 0)
    ),
    "no sign": lambda loss, reference, defined: top(np.abs(loss - reference), defined),
    "cut at 0": lambda loss, reference, defined: top(np.maximum(loss - reference, 0), defined),
    "highest reference losses": lambda loss, reference, defined: top(reference, defined),
    "no minus in the reference's loss": lambda loss, reference, defined: top(loss + reference, defined),
    "the model as its own reference": lambda loss, reference, defined: top(loss - loss, defined),
    "scores in bfloat16": lambda loss, reference, defined: top(loss - bfloat16(reference), defined),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_forms_are_told_apart(name):
    torch.manual_seed(5)
    defined = np.tile((np.arange(40) > 0) & (np.arange(40) < 31), (60, 1))
    loss, reference = ((torch.randint(256, 2048, (60, 40)) / 256).double().numpy() for _ in range(2))
    loss[:, 20:24] = reference[:, 20:24] + loss[:, :1] - reference[:, :1]  # ties
    loss[:, 12:16], reference[:, 12:16] = loss[:, 12:13], reference[:, 12:13]
    ours = weigh(selective(), defined, loss, {"reference_loss": reference}).numpy() > 0
    np.testing.assert_array_equal(ours, oracle.weights(selective(), defined, {"reference_loss": reference}, loss) > 0)
    assert (WRONG[name](loss, reference, defined) != ours).any()
