"""Reference models and packed rows for the tests of scoring, and what the losses should be, said plainly."""

from pathlib import Path

import numpy as np
import torch

from operators.text.tokenizer import contents_digest, load_tokenizer
from operators.tokens.encode_documents import vocabulary_of
from operators.tokens.pack import Packer
from operators.tokens.rows import PackedRows, Packing
from tests.tiny_model import make_tiny_model


def make_reference(folder: Path, seed: int = 0, **settings) -> str:
    """Save a tiny model that has opinions: its weights are wide, so that losses and entropies differ from token to token."""
    from transformers import AutoModelForCausalLM

    make_tiny_model(folder, seed=seed, **settings)
    model = AutoModelForCausalLM.from_pretrained(folder)
    torch.manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25)
    model.save_pretrained(folder)
    return str(folder)


def packing_for(model: str, window: int = 32, cross_document: bool = False) -> Packing:
    tokenizer = load_tokenizer(model)
    return Packing(window, cross_document, contents_digest(tokenizer), vocabulary_of(tokenizer), eos=1)


def pack(packing: Packing, lengths: list[int], prompt_tokens: int = 0, seed: int = 0) -> PackedRows:
    """Pack documents of random tokens, so many tokens each, into one part."""
    dice = np.random.default_rng(seed)
    packer = Packer(packing, rows=sum(lengths) // packing.window + 1, name="rows")
    for length in lengths:
        full = list(packer.add(dice.integers(2, packing.vocabulary, length), np.arange(length) >= prompt_tokens))
        assert not full
    [rows] = packer.finish()
    return rows


def plain_scores(model: str, rows: PackedRows) -> tuple[np.ndarray, np.ndarray]:
    """Losses and entropies (R, T) in float64: each context alone through the model, log_softmax of all its logits."""
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(model).double().eval()
    loss_RT, entropy_RT = (np.full(rows.tokens_RT.shape, np.nan) for _ in range(2))
    for row, begin, end in rows.segments().tolist():
        tokens = torch.from_numpy(rows.tokens_RT[row, begin:end].astype(np.int64))
        with torch.no_grad():
            log_probs_TV = network(tokens[None]).logits[0].log_softmax(-1)
        loss_RT[row, begin + 1 : end] = -log_probs_TV[:-1].gather(1, tokens[1:, None])[:, 0]
        entropy_RT[row, begin + 1 : end] = -(log_probs_TV.exp() * log_probs_TV).sum(-1)[:-1]
    nothing = ~rows.defined_RT
    loss_RT[nothing] = entropy_RT[nothing] = np.nan
    return loss_RT, entropy_RT
