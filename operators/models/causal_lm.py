"""A causal language model as two parts: a body that gives hidden states, and a head that makes logits of them.

Nothing of [tokens, vocabulary] needs to exist where the two are called apart. What a model's own forward does to its logits
is measured once, on a few tokens, and a head that does something else than Head can say is refused.

Shapes: B rows of T tokens, H hidden units, V entries of the vocabulary.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

from operators.errors import BadRequest
from operators.models.head import Head

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PROBE_TOKENS = 12
WIDEST = 60.0  # logits between minus this and this show a softcap as a softcap; scores of real models are not wider
SOFTCAPS = ("final_logit_softcapping", "logits_soft_cap")  # of a model's config; Gemma, NanoChat; RecurrentGemma
# Of Cohere; HyperCLOVA X; Falcon-H1; Muse.
FACTORS = ("logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")
DIVISORS = ("logits_scaling",)  # Granite: the name of a factor elsewhere

_forms: WeakKeyDictionary[PreTrainedModel, tuple[float | None, float]] = WeakKeyDictionary()


def load_causal_lm(
    model: str, dtype: str = "float32", device: str = "cpu", attention: str | None = None
) -> PreTrainedModel:
    """Load a causal language model in evaluation mode, and prove that it is one.

    `model` is a local folder or a name on the Hugging Face hub; code that comes with it is never run. `dtype` is one of
    DTYPES, `attention` an implementation that transformers knows (null: its own choice). Raises BadRequest if there is no
    such model, device or attention, if weights are missing, if its positions see later ones, or if its head is unknown.
    """
    if dtype not in DTYPES:
        raise BadRequest(f"dtype is {dtype!r}. It may be one of {', '.join(DTYPES)}.")
    logging.disable_progress_bar()
    try:
        network, loading = AutoModelForCausalLM.from_pretrained(
            _source(model),
            dtype=DTYPES[dtype],
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # the libraries below raise everything from OSError to KeyError for a broken folder
        raise BadRequest(
            f"{model} cannot be loaded as a causal language model ({type(error).__name__}: {error}). "
            "Give a model folder in Hugging Face format, or a name on the hub that this machine can reach."
        ) from error
    if loading["missing_keys"]:
        missing = ", ".join(sorted(loading["missing_keys"])[:3])
        raise BadRequest(
            f"the weights of {model} are incomplete for {type(network).__name__}: {len(loading['missing_keys'])} are missing "
            f"({missing}). Give a causal language model that was saved whole."
        )
    try:
        network = network.eval().to(device)
    except (RuntimeError, AssertionError) as error:  # no such device, or no room on it
        raise BadRequest(
            f"{model} cannot be put on {device} ({str(error).splitlines()[0]}). Choose another device, or dtype=bfloat16."
        ) from error
    _check_causal(network)
    head_of(network)
    set_attention(network, attention)
    return network


def set_attention(model: PreTrainedModel, attention: str | None) -> None:
    """Have a model attend by an implementation that transformers knows (null: leave it as it is).

    Some kernels run on a GPU and in half precision only, so prove first what is to be proven of the model, on any device.
    Raises BadRequest where there is no such implementation here, or none for this model.
    """
    before = model.config._attn_implementation
    if attention in (None, before):
        return
    try:
        model.set_attn_implementation(attention)
    except Exception as error:  # ValueError, ImportError, and whatever a kernel that is looked for on the hub brings
        raise _unusable(attention, model, f"{type(error).__name__}: {error}") from error
    if model.config._attn_implementation == before:
        raise _unusable(attention, model, "its attention cannot be exchanged")


def _unusable(attention: str, model: PreTrainedModel, why: str) -> BadRequest:
    return BadRequest(
        f"attention={attention} cannot be used for {type(model).__name__} here ({why}). Take sdpa or eager, leave it null, "
        "or install what is missing."
    )


def head_of(model: PreTrainedModel) -> Head:
    """Give the part of a model that makes logits of its last hidden states. The tensors are the model's own.

    What the model does to its logits (scale, softcap) is measured at the first call and remembered, so call it once before
    a model is compiled or sharded. Raises BadRequest where the head does what Head cannot say.
    """
    if model not in _forms:
        _forms[model] = _measure_head(model)
    layer = model.get_output_embeddings()
    return Head(layer.weight, layer.bias, *_forms[model])


def hidden_states(model: PreTrainedModel, tokens_BT: Tensor, positions_BT: Tensor | None = None) -> Tensor:
    """Run the body: last hidden states (B, T, H), after the final norm and before the head.

    Where `positions_BT` falls back to 0 inside a row, another document begins, and attention does not cross. That holds
    for models that `check_documents_apart` lets pass. Without positions a row is one context.
    """
    if positions_BT is None:
        return model.base_model(input_ids=tokens_BT, use_cache=False).last_hidden_state
    shape_BT = tokens_BT.shape
    if "flash" in (model.config._attn_implementation or ""):
        # Flash attention finds the borders of documents only in a batch of one row, and needs no more.
        tokens_BT, positions_BT = tokens_BT.reshape(1, -1), positions_BT.reshape(1, -1)
    # Without a mask of ours transformers makes one from the positions.
    hidden = model.base_model(input_ids=tokens_BT, position_ids=positions_BT, use_cache=False).last_hidden_state
    return hidden.reshape(*shape_BT, -1)


def context_of(model: PreTrainedModel) -> int | None:
    """Give the longest context in tokens that a model has positions for; None where its config does not say."""
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return context if context and context > 0 else None  # XLNet says -1


def check_documents_apart(model: PreTrainedModel) -> None:
    """Prove that documents in one row do not see each other. Raises BadRequest for a model whose layers ignore positions."""
    tokens_BT = _probe_tokens(model)
    cut = math.ceil(tokens_BT.shape[1] / 3)
    positions_BT = torch.arange(tokens_BT.shape[1], device=model.device)[None].clone()
    positions_BT[:, cut:] -= cut
    with _evaluating(model):
        packed = hidden_states(model, tokens_BT, positions_BT)[:, cut:]
        alone = hidden_states(model, tokens_BT[:, cut:])
    if not _same(packed, alone):
        raise BadRequest(
            f"{type(model).__name__} lets documents in one row see each other: it takes no positions from outside. "
            "Pack with cross_document=true for it, or take another model (Llama, Qwen, Mistral, Gemma do)."
        )


def _check_causal(model: PreTrainedModel) -> None:
    tokens_BT = _probe_tokens(model)
    changed_BT = tokens_BT.clone()
    changed_BT[:, -1] = tokens_BT[:, 0]
    with _evaluating(model):
        before, after = hidden_states(model, tokens_BT)[:, :-1], hidden_states(model, changed_BT)[:, :-1]
    if not _same(before, after):
        raise BadRequest(
            f"{type(model).__name__} is no causal language model: a later token changes what it says of earlier ones."
        )


def _measure_head(model: PreTrainedModel) -> tuple[float | None, float]:
    """Find softcap and scale of a model by what it makes of hidden states before, and of logits after its output layer."""
    layer = model.get_output_embeddings()
    if not isinstance(layer, torch.nn.Linear):
        raise _unknown(model, f"its output layer is {type(layer).__name__}, not Linear")
    seen = {}

    def stand_in(_, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        seen["input"] = inputs[0]
        seen["logits"] = torch.linspace(-WIDEST, WIDEST, output.numel()).view_as(output).to(output)
        return seen["logits"].clone()

    tokens_BT = _probe_tokens(model)
    with _evaluating(model):
        hidden_BTH = hidden_states(model, tokens_BT)
        watching = layer.register_forward_hook(stand_in)
        try:
            logits_BTV = model(input_ids=tokens_BT, use_cache=False).logits
        finally:
            watching.remove()
    if not seen:
        raise _unknown(model, "its output layer is not called")
    if not _same(seen["input"], hidden_BTH):
        raise _unknown(model, "its output layer is given something else than the last hidden states")
    for softcap, scale in _candidates(model.config.get_text_config()):
        expected_BTV = seen["logits"].float() * scale
        if softcap:
            expected_BTV = softcap * torch.tanh(expected_BTV / softcap)
        if _same(expected_BTV, logits_BTV):
            return softcap, scale
    raise _unknown(model, "its logits are the output layer's, changed in a way that its config does not name")


def _candidates(config) -> Iterator[tuple[float | None, float]]:
    """List what a config names, and last what needs no name."""
    named = [[getattr(config, name, None) for name in names] for names in (SOFTCAPS, FACTORS, DIVISORS)]
    softcaps, factors, divisors = [[value for value in values if value] for values in named]
    for softcap in [*softcaps, None]:
        for scale in [*(1 / divisor for divisor in divisors), *factors, 1.0]:
            yield softcap, scale


def _unknown(model: PreTrainedModel, why: str) -> BadRequest:
    return BadRequest(
        f"the head of {type(model).__name__} is not known: {why}. Known are a linear layer with or without bias, a scale and "
        "a softcap. Take a model of another architecture, or add this one in operators/models/causal_lm.py."
    )


def _probe_tokens(model: PreTrainedModel) -> Tensor:
    entries = model.get_input_embeddings().weight.shape[0]
    count = min(PROBE_TOKENS, context_of(model) or PROBE_TOKENS)
    return torch.linspace(1, entries - 1, count, device=model.device).long()[None]


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Look at a model without dropout and without gradients."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def _same(left: Tensor, right: Tensor) -> bool:
    """Compare up to the rounding of the coarser type. What is not a number says nothing here: whoever uses it will find it."""
    rounding = max(torch.finfo(each.dtype).eps for each in (left, right)) ** 0.5
    left, right = left.float().nan_to_num(0), right.float().nan_to_num(0)
    return bool((left - right).norm() <= rounding * left.norm())


def _source(model: str) -> str:
    path = Path(model).expanduser()
    if path.is_dir():
        return str(path)
    if path.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1 or not model:
        raise BadRequest(f"no model folder at {model!r}. Give a folder in Hugging Face format, or a name on the hub.")
    return model
