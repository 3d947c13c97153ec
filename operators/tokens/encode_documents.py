"""Turn documents into tokens, with what ends (and begins) each of them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from operators.errors import BadRequest
from operators.examples.prompting import TEMPLATES
from operators.examples.prompting.encoding import Encoder, literal
from operators.settings import setting
from operators.table import living, with_columns
from operators.text.tokenizer import contents_digest, eos_of, load_tokenizer

TARGETS = pa.large_list(pa.bool_())


@dataclass
class EncodeConfig:
    tokenizer: str | None = setting(
        None,
        "the model's tokenizer: a model folder (local or s3://), an artifact of `pretrain`, a tokenizer.json, or a hub name",
        identity=False,  # its contents decide, wherever they lie
    )
    eos_token: str | None = setting(None, "token that ends every document; null: the tokenizer's own")
    bos_token: str | None = setting(
        None, "token that begins every document; null: none, or with a template the tokenizer's own"
    )
    template: str | None = setting(
        None,
        f"for fine-tuning: how the turns of an example are framed ({', '.join(TEMPLATES)}), of which answers are learned; "
        "null: documents are texts, learned as a whole",
    )

    def __post_init__(self):
        if self.template is not None and self.template not in TEMPLATES:
            raise BadRequest(f"pack.template: no template {self.template!r}. There are: {', '.join(TEMPLATES)}.")


class Encode:
    """Add the tokens of each document. Reads `text`.

    Adds `tokens`, and `targets`, which is null: all of them are learned. What is written like a special token in a document
    is text: no page can end a document.
    """

    def __init__(self, config: EncodeConfig):
        self.tokenizer = tokenizer_of(config)
        self.encoder = Encoder(self.tokenizer)
        self.bos, self.eos = begin_and_end(config, self.tokenizer)
        self.deciding = {"tokenizer": contents_digest(self.tokenizer), "ends": [self.bos, self.eos]}

    def __call__(self, documents: pa.Table) -> pa.Table:
        alive, texts = living(documents).tolist(), documents["text"].to_pylist()
        encoded = iter(self.encoder([literal(text) for text, lives in zip(texts, alive, strict=True) if lives]))
        first = [] if self.bos is None else [self.bos]
        tokens = [
            np.concatenate([first, next(encoded).ids, [self.eos]]).astype(np.int32) if lives else None
            for lives in alive
        ]
        return with_columns(
            documents, tokens=pa.array(tokens, pa.large_list(pa.int32())), targets=pa.nulls(len(documents), TARGETS)
        )


def tokenizer_of(config: EncodeConfig) -> Tokenizer:
    """Load the tokenizer. Raises BadRequest where none is given."""
    if not config.tokenizer:
        raise BadRequest(
            "pack.tokenizer is not given: a model folder (local or s3://), an artifact of `pretrain`, a tokenizer.json, or a "
            "model name of the hub."
        )
    return load_tokenizer(config.tokenizer)


def begin_and_end(config: EncodeConfig, tokenizer: Tokenizer) -> tuple[int | None, int]:
    """Give the tokens that begin (None: none is named) and end a document. Raises BadRequest for one that is not known."""
    bos = _id(config, tokenizer, "bos_token", config.bos_token) if config.bos_token else None
    return bos, _id(config, tokenizer, "eos_token", config.eos_token or eos_of(config.tokenizer))


def _id(config: EncodeConfig, tokenizer: Tokenizer, setting: str, token: str | None) -> int:
    number = tokenizer.token_to_id(token) if token else None
    if number is None:
        known = sorted(added.content for added in tokenizer.get_added_tokens_decoder().values())[:20]
        given = f"{token!r} is none of its tokens" if token else f"{config.tokenizer} does not say which it is"
        raise BadRequest(f"pack.{setting}: {given}. Its special tokens are: {', '.join(known) or 'none'}.")
    return number


def vocabulary_of(tokenizer: Tokenizer) -> int:
    """Count the ids that a tokenizer can give."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
