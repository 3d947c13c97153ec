from itertools import pairwise

import numpy as np
import pytest
import torch

from operators.learn.losses import build_loss
from operators.learn.losses import fused as weighted
from operators.learn.losses.base import BadValue, LossRows
from operators.learn.losses.config import SCOPES, SCORES, LossConfig
from operators.learn.losses.fused import weighted_cross_entropy
from operators.models import head as head_file
from operators.models.head import Head
from tests.operators.learn.losses import oracle

R, T, H, V = 4, 13, 8, 29
HEADS = {
    "plain": {},
    "bias": {"bias": True},
    "capped": {"softcap": 2.0},
    "all": {"bias": True, "softcap": 3.0, "scale": 0.7},
}
WAYS = {"logits kept": 2**28, "a row at a time": T * V, "losses first": 1}  # logits that may be held
SELECTIVE = {"name": "selective"}


class Batch:
    """A random batch: some rows have few candidates and one has none."""

    def __init__(self, dtype=torch.float32, seed=0, bias=False, softcap=None, scale=1.0):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(*shape, generator=generator).to(dtype).requires_grad_()

        self.hidden = normal(R, T, H)
        self.head = Head(normal(V, H), normal(V) if bias else None, softcap, scale)
        self.tokens = torch.randint(0, V, (R, T), generator=generator)
        self.defined = torch.rand(R, T, generator=generator) > torch.tensor([[0.1], [0.8], [1.0], [0.4]])
        self.defined[:, 0] = False
        shape = {"size": (R, T), "generator": generator}
        self.columns = {
            "reference_loss": (6 * torch.rand(**shape)).half(),
            "reference_entropy": (3 * torch.rand(**shape)).half(),
        }

    def parameters(self):
        return [tensor for tensor in (self.hidden, self.head.weight_VH, self.head.bias_V) if tensor is not None]

    def rows(self, part=slice(None), **others):
        columns = {name: values[part] for name, values in self.columns.items()}
        return LossRows(self.defined[part], columns, **others)

    def run(self, weigh, part=slice(None), **others):
        return weighted_cross_entropy(self.hidden[part], self.head, self.tokens[part], self.rows(part, **others), weigh)

    def gradients(self, loss):
        return torch.autograd.grad(loss, self.parameters())

    def expected(self, config):
        """Give weights, loss and gradients of the oracle."""
        nll = oracle.losses(self.hidden, self.head, self.tokens).detach()
        weights = oracle.weights(config, self.defined, self.columns, nll)
        loss = oracle.objective(self.hidden, self.head, self.tokens, weights)
        return weights, loss, self.gradients(loss)


def close(ours, theirs, tolerance=1e-5):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=tolerance, atol=tolerance)


def divided(result):
    return result.loss / result.weights_RT.double().sum().clamp(min=1e-30)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", SCORES)
def test_loss_and_gradients_agree_with_float64(score, scope, way, kind, monkeypatch):
    monkeypatch.setitem(weighted.HELD, "cpu", WAYS[way])
    monkeypatch.setitem(head_file.TILE, "cpu", 5)
    batch, config = Batch(**HEADS[kind]), LossConfig(**SELECTIVE, score=score, scope=scope, keep_entropy=0.8)
    result = batch.run(build_loss(config))
    weights, loss, gradients = batch.expected(config)
    np.testing.assert_array_equal(result.weights_RT, weights)
    close([divided(result), *batch.gradients(divided(result))], [loss, *gradients])


@pytest.mark.parametrize(
    "settings", [{"temperature": 0.7}, {"normalise": "sequence_mean"}, {"min_keep": 1, "keep": 0.1}]
)
@pytest.mark.parametrize("way", WAYS)
def test_other_weights_agree_with_float64(settings, way, monkeypatch):
    monkeypatch.setitem(weighted.HELD, "cpu", WAYS[way])
    batch, config = Batch(), LossConfig(**SELECTIVE, **settings)
    result = batch.run(build_loss(config))
    loss = oracle.objective(batch.hidden, batch.head, batch.tokens, result.weights_RT)
    close([divided(result), *batch.gradients(divided(result))], [loss, *batch.gradients(loss)])
    if "temperature" not in settings:
        np.testing.assert_allclose(result.weights_RT, batch.expected(config)[0], rtol=1e-6)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("way", WAYS)
def test_keeping_all_is_plain_cross_entropy(scope, way, monkeypatch):
    monkeypatch.setitem(weighted.HELD, "cpu", WAYS[way])
    batch = Batch()
    logits = (batch.hidden @ batch.head.weight_VH.T)[:, :-1][batch.defined[:, 1:]]
    plain = torch.nn.functional.cross_entropy(logits, batch.tokens[batch.defined])
    gradients = batch.gradients(plain)
    for config in (LossConfig(), LossConfig(**SELECTIVE, keep=1.0, scope=scope)):
        loss = divided(batch.run(build_loss(config)))
        close([loss, *batch.gradients(loss)], [plain, *gradients])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tile", [1, 3, 1000])
def test_tiles_change_nothing_but_rounding(tile, way, monkeypatch):
    batch, loss = Batch(), build_loss(LossConfig(**SELECTIVE))
    whole = batch.run(loss)
    monkeypatch.setitem(weighted.HELD, "cpu", WAYS[way])
    monkeypatch.setitem(head_file.TILE, "cpu", tile)
    cut = batch.run(loss)
    assert torch.equal(cut.weights_RT, whole.weights_RT)
    close([cut.loss, *batch.gradients(cut.loss)], [whole.loss, *batch.gradients(whole.loss)], 1e-6)


@pytest.mark.parametrize("cuts", [[0, 1, 4], [0, 2, 3, 4], [0, 1, 2, 3, 4]])
def test_sums_over_micro_batches_are_those_of_one_batch(cuts):
    """Row 2 has no candidate: a part without any joins in, and unequal counts weigh as they should."""
    batch, loss = Batch(), build_loss(LossConfig(**SELECTIVE))
    whole = batch.run(loss)
    parts = [batch.run(loss, slice(a, b)) for a, b in pairwise(cuts)]
    total = sum(part.loss for part in parts)
    close([total, *batch.gradients(total)], [whole.loss, *batch.gradients(whole.loss)], 1e-6)
    close(torch.tensor([part.sums() for part in parts]).sum(0), whole.sums(), 1e-6)
    mean_of_means = sum(divided(part) for part in parts) / len(parts)  # the known wrong form
    assert abs(mean_of_means - divided(whole)) > 1e-3


def test_weights_of_the_whole_step_can_be_given_to_its_micro_batches():
    batch = Batch()
    config = LossConfig(**SELECTIVE, scope="global")
    weights, loss, gradients = batch.expected(config)
    weights = torch.tensor(weights, dtype=torch.float32)
    parts = [batch.run(weights[row : row + 1], slice(row, row + 1)) for row in range(R)]
    total = sum(part.loss for part in parts) / sum(part.weights_RT.double().sum() for part in parts)
    close([total, *batch.gradients(total)], [loss, *gradients])


def test_states_of_other_tokens_are_not_even_read():
    batch, loss = Batch(), build_loss(LossConfig(**SELECTIVE))
    expected = batch.run(loss)
    before = batch.defined.roll(-1, dims=1)
    batch.hidden = torch.where(before[..., None], batch.hidden.detach(), torch.nan).requires_grad_()
    batch.tokens = torch.where(batch.defined, batch.tokens, 10**6)  # no token of this vocabulary
    batch.columns["reference_loss"] = torch.where(batch.defined, batch.columns["reference_loss"], torch.nan)
    result = batch.run(loss)
    assert torch.equal(result.loss, expected.loss)
    assert not batch.gradients(result.loss)[0][~before].any()


@pytest.mark.parametrize("settings", [{}, {**SELECTIVE, "keep": 0.01}])
def test_nothing_to_train_on_is_loss_0_with_gradients_of_0(settings):
    batch = Batch(bias=True)
    if not settings:
        batch.defined.fill_(False)
    result = batch.run(build_loss(LossConfig(**settings)))
    assert result.loss == result.weights_RT.sum() == 0
    for gradient, parameter in zip(batch.gradients(result.loss), batch.parameters(), strict=True):
        assert gradient.shape == parameter.shape
        assert not gradient.any()


def test_a_masked_first_row_spoils_no_gradient_of_the_head():
    """The known fault of a fused kernel: all rows took the factor of the first."""
    batch = Batch()
    weights = torch.rand(R, T, generator=torch.Generator().manual_seed(1)) * batch.defined
    weights[0] = 0
    loss = oracle.objective(batch.hidden, batch.head, batch.tokens, weights)
    close(batch.gradients(divided(batch.run(weights))), batch.gradients(loss))


def test_the_gradient_scales_with_what_comes_after_the_loss():
    batch, loss = Batch(), build_loss(LossConfig())
    once, thrice = batch.gradients(batch.run(loss).loss), batch.gradients(3 * batch.run(loss).loss)
    close(thrice, [3 * gradient for gradient in once], 1e-6)


def test_tied_weights_get_both_gradients():
    batch = Batch()
    weight_VH = batch.head.weight_VH

    def gradient(make):
        hidden = torch.nn.functional.embedding(batch.tokens, weight_VH).tanh()
        return torch.autograd.grad(make(hidden), weight_VH)

    weights = batch.defined.float()
    close(
        gradient(lambda hidden: weighted_cross_entropy(hidden, batch.head, batch.tokens, batch.rows(), weights).loss),
        gradient(lambda hidden: weights.sum() * oracle.objective(hidden, batch.head, batch.tokens, weights)),
    )


def test_a_frozen_head_gets_no_gradient_and_without_gradients_the_loss_is_the_same():
    batch, loss = Batch(), build_loss(LossConfig(**SELECTIVE))
    expected = batch.run(loss)
    with torch.no_grad():
        assert torch.equal(batch.run(loss).loss, expected.loss)
    batch.head.weight_VH.requires_grad_(False)
    result = batch.run(loss)
    close(torch.autograd.grad(result.loss, batch.hidden), torch.autograd.grad(expected.loss, batch.hidden), 1e-7)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_formats_of_parameters_work(dtype):
    batch, config = Batch(dtype), LossConfig(**SELECTIVE)
    result = batch.run(build_loss(config))
    weights, loss, gradients = batch.expected(config)
    np.testing.assert_array_equal(result.weights_RT, weights)
    close([divided(result)], [loss], 1e-6)
    ours = batch.gradients(divided(result))
    assert {gradient.dtype for gradient in ours} == {dtype}
    close(ours, gradients, 1e-2 if dtype == torch.bfloat16 else 1e-6)


def test_gradients_of_a_half_precision_head_are_added_up_in_float32(monkeypatch):
    """A token a tile: in bfloat16 each addition would lose all that is below 1/256 of the sum."""
    monkeypatch.setitem(head_file.TILE, "cpu", 1)
    hidden = torch.ones(1, 1025, 1, dtype=torch.bfloat16)
    head = Head(torch.zeros(2, 1, dtype=torch.bfloat16).requires_grad_())
    tokens, defined = torch.zeros(1, 1025, dtype=torch.long), torch.arange(1025)[None] > 0
    result = weighted_cross_entropy(hidden, head, tokens, LossRows(defined), build_loss(LossConfig()))
    assert torch.autograd.grad(result.loss, head.weight_VH)[0].tolist() == [[-512.0], [512.0]]


def test_autocast_of_the_trainer_does_not_reach_the_softmax():
    batch, loss = Batch(), build_loss(LossConfig())
    with torch.autocast("cpu", torch.bfloat16):
        result = batch.run(loss)
    close([result.loss], [batch.run(loss).loss], 1e-6)


def test_losses_are_told_where_they_are_known_and_summed_apart():
    batch, config = Batch(), LossConfig(**SELECTIVE)
    nll = oracle.losses(batch.hidden, batch.head, batch.tokens).detach()
    result = batch.run(build_loss(config))
    close([result.nll_RT[batch.defined]], [nll[batch.defined]])
    assert result.nll_RT[~batch.defined].isnan().all()
    assert not (result.nll_RT.requires_grad or result.weights_RT.requires_grad)
    kept = result.weights_RT > 0
    left = batch.defined & ~kept
    sums = [batch.defined.sum(), kept.sum(), nll[kept].sum(), left.sum(), nll[left].sum()]
    close(result.sums(), [torch.as_tensor(value) for value in sums])
    static = batch.run(build_loss(LossConfig(**SELECTIVE, score="reference_loss")))
    assert static.sums().left == 0  # nobody worked out what those lose
    assert (
        batch.run(static.weights_RT, nll_RT=nll.float()).sums().left == (batch.defined & ~(static.weights_RT > 0)).sum()
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_bad_loss_names_its_row_of_the_whole_batch(way, monkeypatch):
    monkeypatch.setitem(weighted.HELD, "cpu", WAYS[way])
    batch = Batch()
    place = int(batch.defined[3].nonzero()[0])
    with torch.no_grad():
        batch.hidden[3, place - 1] = torch.nan
    with pytest.raises(BadValue, match=f"the current loss is nan at token {place} of row 13"):
        batch.run(build_loss(LossConfig(**SELECTIVE)), first_row=10)


def test_a_weight_where_nothing_is_predicted_is_an_error():
    batch = Batch()
    batch.defined[:, 1] = False
    with pytest.raises(ValueError, match="no token is to be predicted"):
        batch.run(torch.ones(R, T))
    batch.defined[:] = True
    with pytest.raises(ValueError, match="first token of a row"):
        batch.run(torch.ones(R, T))


def test_rows_without_a_token_are_a_batch_too():
    batch = Batch()
    assert batch.run(build_loss(LossConfig(**SELECTIVE)), slice(0, 0)).loss == 0


def test_dividing_by_all_candidates_is_told_apart():
    batch, config = Batch(), LossConfig(**SELECTIVE)
    result, right = batch.run(build_loss(config)), batch.expected(config)[1]
    wrong = result.loss / result.sums().candidates
    assert divided(result).item() == pytest.approx(right.item(), rel=1e-5)
    assert wrong < 0.8 * right


def test_another_token_as_the_target_is_told_apart():
    """States and tokens paired without the shift would score each state by the token that it has just read."""
    batch = Batch()
    logits = batch.hidden @ batch.head.weight_VH.T
    unshifted = torch.nn.functional.cross_entropy(logits[batch.defined], batch.tokens[batch.defined])
    assert abs(unshifted - divided(batch.run(build_loss(LossConfig())))) > 1e-2
