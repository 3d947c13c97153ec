"""Whether a model or a tokenizer goes with packed rows."""

from operators.errors import BadRequest
from operators.models.engines.context import model_facts
from operators.storage.config import StorageConfig
from operators.text.tokenizer import contents_digest, load_tokenizer
from operators.tokens.rows import Packing
from pipelines.stock.models import local_model


def require_tokenizer(tokenizer: str, packing: Packing) -> None:
    """Raise BadRequest unless a tokenizer is the one that rows were packed with."""
    if contents_digest(load_tokenizer(tokenizer)) != packing.tokenizer:
        raise BadRequest(
            f"the rows were packed with another tokenizer than that of {tokenizer}. Pack with its tokenizer "
            f"(pack.tokenizer={tokenizer}), or take a model that was trained with the one of the rows."
        )


def require_fit(model: str, packing: Packing, storage: StorageConfig) -> None:
    """Raise BadRequest unless a model has the tokenizer that rows were packed with, and reads as many tokens as a row has."""
    here = local_model(model, storage)
    require_tokenizer(here, packing)
    context = model_facts(here).context_tokens
    if context is not None and context < packing.window:
        raise BadRequest(
            f"the rows are {packing.window} tokens long and {model} reads {context} at most. Pack with pack.window={context}, "
            "or take a model with a longer context."
        )
