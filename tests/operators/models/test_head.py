import pytest
import torch

from operators.models import head as head_file
from operators.models.head import Head, token_losses
from tests.operators.learn.losses import oracle

HEADS = {
    "plain": {},
    "bias": {"bias": True},
    "softcap": {"softcap": 3.0},
    "scale": {"scale": 0.3},
    "all": {"bias": True, "softcap": 5.0, "scale": 1.7},
}


def random_head(bias=False, vocabulary=37, dtype=torch.float32, **settings):
    torch.manual_seed(1)
    return Head(torch.randn(vocabulary, 16).to(dtype), torch.randn(vocabulary).to(dtype) if bias else None, **settings)


def tokens_and_states(dtype=torch.float32):
    torch.manual_seed(2)
    return torch.randint(0, 37, (1, 21)), torch.randn(1, 21, 16).to(dtype)


@pytest.mark.parametrize("tile", [1, 4, 20, 1000])
@pytest.mark.parametrize("kind", HEADS)
def test_losses_and_entropies_agree_with_float64_for_any_tile(kind, tile, monkeypatch):
    monkeypatch.setitem(head_file.TILE, "cpu", tile)
    head, (tokens_RT, hidden_RTH) = random_head(**HEADS[kind]), tokens_and_states()
    nll_N, entropy_N = token_losses(hidden_RTH[0, :-1], head, tokens_RT[0, 1:], entropy=True)
    assert nll_N.dtype == entropy_N.dtype == torch.float32
    torch.testing.assert_close(nll_N.double(), oracle.losses(hidden_RTH, head, tokens_RT)[0, 1:], rtol=1e-6, atol=5e-6)
    torch.testing.assert_close(entropy_N.double(), oracle.entropies(hidden_RTH, head)[0, 1:], rtol=1e-6, atol=5e-6)
    without_N, nothing = token_losses(hidden_RTH[0, :-1], head, tokens_RT[0, 1:])
    assert torch.equal(without_N, nll_N)
    assert nothing is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("autocast", [False, True])
def test_other_formats_lose_nothing_but_their_own_rounding(dtype, autocast):
    head, (tokens_RT, hidden_RTH) = random_head(bias=True, dtype=dtype), tokens_and_states(dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        nll_N, entropy_N = token_losses(hidden_RTH[0, :-1], head, tokens_RT[0, 1:], entropy=True)
    assert nll_N.dtype == (torch.float64 if dtype == torch.float64 and not autocast else torch.float32)
    torch.testing.assert_close(nll_N.double(), oracle.losses(hidden_RTH, head, tokens_RT)[0, 1:], rtol=1e-6, atol=5e-6)
    torch.testing.assert_close(entropy_N.double(), oracle.entropies(hidden_RTH, head)[0, 1:], rtol=1e-6, atol=5e-6)


def test_logits_of_any_size_neither_overflow_nor_give_a_negative_entropy():
    tokens_RT, hidden_RTH = tokens_and_states()
    nll_N, entropy_N = token_losses(1e4 * hidden_RTH[0, :-1], random_head(), tokens_RT[0, 1:], entropy=True)
    assert nll_N.isfinite().all()
    assert (entropy_N >= 0).all()
    torch.testing.assert_close(entropy_N, torch.zeros(20), rtol=0, atol=1e-6)


def test_no_more_logits_are_held_than_those_of_a_tile(monkeypatch):
    monkeypatch.setitem(head_file.TILE, "cpu", 4)
    sizes, made = [], Head.logits
    monkeypatch.setattr(Head, "logits", lambda *given: sizes.append(len(given[1])) or made(*given))
    tokens_RT, hidden_RTH = tokens_and_states()
    token_losses(hidden_RTH[0, :-1], random_head(), tokens_RT[0, 1:])
    assert sizes == [4] * 5


def test_losses_carry_no_gradient_and_no_tokens_are_fine():
    tokens_RT, hidden_RTH = tokens_and_states()
    head = random_head()
    head.weight_VH.requires_grad_()
    assert not token_losses(hidden_RTH[0, :-1].requires_grad_(), head, tokens_RT[0, 1:])[0].requires_grad
    assert token_losses(hidden_RTH[0, :0], head, tokens_RT[0, :0], entropy=True)[1].shape == (0,)
