"""A reference behind a URL: any completions server that tells the log-probabilities of the tokens that it is given.

Losses only, and slow for a whole corpus: a server makes all logits and an object for each token. It is there for strong
models that run nowhere else. Shapes: R rows of T tokens.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from operators.errors import BadRequest
from operators.learn.score.base import BLOCK, ScoreConfig, Server, contexts_to_read
from operators.models.engines.base import Completion, EngineFailure
from operators.models.engines.openai.answers import read_body
from operators.models.engines.openai.engine import OpenAIConfig, OpenAIEngine
from operators.models.engines.openai.protocol import BROKEN_JSON, Fault, read_refusal
from operators.text.tokenizer import contents_digest, load_tokenizer
from operators.tokens.rows import PackedRows, Packing

# How servers are asked, the most telling first: vLLM and SGLang name the tokens by id, older servers echo their text.
DIALECTS = (
    {"prompt_logprobs": 0, "max_tokens": 1},
    {"echo": True, "logprobs": 1, "max_tokens": 0},
    {"echo": True, "logprobs": 1, "max_tokens": 1},
)
IMPOSSIBLE = -9999.0  # what vLLM writes for minus infinity, which JSON cannot say
PROBES = 64  # tokens of the vocabulary that a server is asked to spell
MARKS_OF_A_SPACE = " \u2581\u0120"  # plain, SentencePiece's and byte-level BPE's


@dataclass(frozen=True)
class Echo(Completion):
    """What a server makes of the tokens it was given: for each its log-probability (None for the first), text, id if told.

    Up to `more` tokens of its own may follow.
    """

    log_probs: Sequence[float | None] = ()
    texts: Sequence[str | None] = ()
    ids: Sequence[int | None] = ()
    more: int = 0


class EndpointReference:
    """Score rows by a server. Tokens are sent as ids; the server must have the tokenizer that the rows were packed with.

    That is proven twice: at the start the server spells tokens from all over the vocabulary, and each answer must have as
    many tokens as it was asked about, and the same ids where it names them. Raises BadRequest otherwise. `score` runs an event
    loop of its own.
    """

    def __init__(self, config: ScoreConfig, server: Server):
        if config.entropy:
            raise BadRequest(
                f"score.entropy=true, and {server.openai.model} is a server, which tells losses only. Set it to false."
            )
        self.name, self.server = server.openai.model, server
        self.tokenizer = load_tokenizer(server.tokenizer)
        self.probe = spread_tokens(self.tokenizer)
        self.dialect, self.context_tokens = asyncio.run(self._shake_hands())

    def check(self, packing: Packing) -> None:
        if packing.tokenizer != contents_digest(self.tokenizer):
            raise BadRequest(
                f"the rows were packed with another tokenizer than {self.server.tokenizer}. Give theirs, "
                f"if it is the one that {self.name} has; otherwise pack with the tokenizer of {self.name}."
            )
        longest = packing.window + self.dialect["max_tokens"]
        if self.context_tokens is not None and longest > self.context_tokens:
            raise BadRequest(
                f"{self.name} takes {self.context_tokens} tokens at once, and rows of {packing.window} need {longest}. "
                f"Pack with pack.window={packing.window - longest + self.context_tokens}, or raise the server's context."
            )

    def score(self, rows: PackedRows) -> list[np.ndarray]:
        return [asyncio.run(self._score(rows))]

    async def _score(self, rows: PackedRows) -> np.ndarray:
        tokens, window = rows.tokens_RT.reshape(-1), rows.packing.window
        scores = np.full(tokens.size, np.nan, dtype=np.float32)
        client = Client(self.server.openai, self.dialect)

        async def fill(begin: int, last: int) -> None:
            given = tokens[begin : last + 1].tolist()
            echo = await client.complete(Given(given))
            if echo.error:
                raise EngineFailure(f"{self.name} did not score row {rows.ids[begin // window]}: {echo.detail}")
            scores[begin + 1 : last + 1] = losses(echo, given, self.name)

        await client.start()
        try:
            async with asyncio.TaskGroup() as group:
                for begin, last in contexts_to_read(rows).tolist():
                    group.create_task(fill(begin, last))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            await client.stop()
        return np.where(rows.defined_RT, scores.reshape(-1, window), np.float32(np.nan))

    async def _shake_hands(self) -> tuple[dict[str, Any], int | None]:
        """Find a dialect that the server understands, and see that it spells tokens as our tokenizer does."""
        troubles = []
        for dialect in DIALECTS:
            client = Client(self.server.openai, dialect)
            await client.start()
            try:
                echo = await client.complete(Given(self.probe))
            finally:
                await client.stop()
            if echo.error is None:
                losses(echo, self.probe, self.name)
                self._check_spelling(echo)
                return dialect, client.context_tokens
            troubles.append(f"{'prompt_logprobs' if 'echo' not in dialect else 'echo'}: {echo.detail}")
        raise BadRequest(
            f"{self.name} tells no log-probabilities of the tokens it is given ({'; '.join(troubles)}). Take a server that "
            "does at /v1/completions, such as vLLM, or a model folder."
        )

    def _check_spelling(self, echo: Echo) -> None:
        for token, theirs in zip(self.probe, echo.texts, strict=False):
            ours = self.tokenizer.decode([token], skip_special_tokens=False)
            if theirs is not None and ours.strip(MARKS_OF_A_SPACE) != theirs.strip(MARKS_OF_A_SPACE):
                raise BadRequest(
                    f"{self.name} has another tokenizer than {self.server.tokenizer}: token {token} is {theirs!r} there and "
                    f"{ours!r} here. Pack with the tokenizer of {self.name}, or take another server."
                )


@dataclass(frozen=True)
class Given:
    """A request of tokens instead of messages; it stands in no chain."""

    tokens: list[int]
    chain: None = None


class Client(OpenAIEngine):
    """Sends tokens instead of messages, with the patience of the engine."""

    def __init__(self, config: OpenAIConfig, dialect: dict[str, Any]):
        super().__init__(replace(config, api="completions"), BLOCK)
        self.dialect = dialect

    def _body(self, given: Given) -> dict[str, Any]:
        # At temperature 1 nobody can have scaled the log-probabilities.
        body = {"model": self.model, "prompt": given.tokens, "temperature": 1.0, **self.dialect, **self.config.extra}
        return {name: value for name, value in body.items() if value is not None}

    def _read(self, content: bytes, body: dict[str, Any]) -> Completion:
        """Read what the server tells of the tokens it was given; an answer without it has error `bad_answer`."""
        try:
            choice = read_body(content)["choices"][0]
            echo = by_id(choice) if "prompt_logprobs" in self.dialect else by_text(choice, self.dialect["max_tokens"])
        except BROKEN_JSON as error:
            raise Fault("bad_answer", f"the server's answer is no completion: {read_refusal(content)}") from error
        return echo or Echo(None, error="bad_answer", detail="the answer has none")


def by_id(choice: dict[str, Any]) -> Echo | None:
    """Read vLLM's prompt_logprobs: for each token after the first a mapping of ids, of which the first is the token's own."""
    told = choice.get("prompt_logprobs")
    if not told:
        return None
    own = [next(iter(entry.items())) for entry in told[1:]]
    log_probs, texts = ([None, *(entry.get(key) for _, entry in own)] for key in ("logprob", "decoded_token"))
    return Echo("", log_probs=log_probs, texts=texts, ids=[None, *(int(token) for token, _ in own)])


def by_text(choice: dict[str, Any], more: int) -> Echo | None:
    told = choice.get("logprobs")
    if not told or told.get("token_logprobs") is None:
        return None
    return Echo("", log_probs=told["token_logprobs"], texts=told["tokens"], more=more)


def losses(echo: Echo, tokens: list[int], server: str) -> np.ndarray:
    """Give -log P (float32, nats) of all tokens but the first. Raises BadRequest if the server speaks of other tokens."""
    begun = list(echo.log_probs[: len(tokens)])
    foreign = [there for here, there in zip(tokens, echo.ids, strict=False) if there not in (None, here)]
    if len(echo.log_probs) not in (len(tokens), len(tokens) + echo.more) or None in begun[1:] or foreign:
        raise BadRequest(
            f"{server} was given {len(tokens)} tokens and speaks of {len(echo.log_probs)}, or of others: it adds, drops or "
            "changes tokens. Take a server that scores token ids as they are."
        )
    log_probs = np.array(begun[1:], dtype=np.float32)
    return np.where(log_probs <= IMPOSSIBLE, np.inf, -log_probs)


def spread_tokens(tokenizer) -> list[int]:
    """Choose tokens from all over the vocabulary that any server spells alike: plain letters and digits."""
    texts = ((token, tokenizer.decode([token]).strip()) for token in sorted(tokenizer.get_vocab().values()))
    plain = [token for token, text in texts if text.isascii() and text.isalnum()]
    return [plain[i] for i in np.linspace(0, len(plain) - 1, min(PROBES, len(plain))).astype(int)]
