"""From examples to the tokens that a model reads, and which of them are the answer.

Shapes: T tokens of an example.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from operators.errors import BadRequest
from operators.examples.base import Example, NoExample
from operators.examples.prompting.chat import Chat
from operators.examples.prompting.encoding import Encoded, Encoder, MarkedText
from operators.examples.prompting.templates import FRAMES, RELEASED, TEMPLATES, Segment, Template
from operators.settings import setting
from operators.text.tokenizer import contents_digest, eos_of, load_tokenizer


@dataclass
class PromptingConfig:
    template: str = setting("alpaca", f"how turns are framed: {', '.join(TEMPLATES)} (chat: the tokenizer's own)")
    max_tokens: int | None = setting(4096, "tokens of an example at most, longer ones are not read; null: no limit")
    score_eos: bool | None = setting(
        None,
        "whether the token that ends an answer counts as one of its tokens, and what else a chat template writes around it; "
        "null: no, but in the gradients of less, as in training",
    )

    def __post_init__(self):
        if self.template not in TEMPLATES:
            raise BadRequest(f"no template {self.template!r}. There are: {', '.join(TEMPLATES)}.")
        if self.max_tokens is not None and self.max_tokens < 2:
            raise BadRequest(f"max_tokens is a number of tokens from 2, or null for no limit; got {self.max_tokens}.")


class Tokens(NamedTuple):
    """Tokens of an example: ids int32 (T,), answer bool (T,). A model predicts all of them but the first.

    `unplaced` names what its example has and the template no place for.
    """

    ids: np.ndarray
    answer: np.ndarray
    unplaced: tuple[str, ...] = ()

    @property
    def prompt_tokens(self) -> int:
        """Count the tokens that are no answer."""
        return len(self.ids) - self.answer_tokens

    @property
    def answer_tokens(self) -> int:
        return int(np.count_nonzero(self.answer))


class Prompting:
    """Gives the tokens of examples.

    A text is encoded once as a whole; the answer's tokens are those that begin in the answer. Where a token has characters of
    the answer and of what is beside it, the two are encoded apart. What is written like a special token in a record is text.
    `turns` says which assistant turns are answers. The text begins with `bos` and, where the end counts, ends with `eos`;
    without them (None) the tokenizer's own are taken, so far as it has any. `released` frames as released code does, where that
    differs from the template.

    Raises BadRequest where the tokenizer cannot serve.
    """

    def __init__(
        self,
        config: PromptingConfig,
        tokenizer: str,
        turns: str = "last",
        bos: int | None = None,
        eos: int | None = None,
        released: bool = False,
    ):
        self.config, self.turns = config, turns
        self.tokenizer = load_tokenizer(tokenizer)
        added = self.tokenizer.get_added_tokens_decoder()
        special = {number: token.content for number, token in added.items() if token.special}
        self.special = re.compile("|".join(map(re.escape, special.values())) or r"(?!)")
        frames = RELEASED if released else FRAMES
        chat = config.template == "chat"
        self.template: Template = Chat(tokenizer, self.special) if chat else frames[config.template]()
        self.encoder = Encoder(self.tokenizer)
        self.bos = _bos(self.tokenizer) if bos is None else bos
        self.eos = _eos(self.tokenizer, tokenizer) if eos is None else eos
        self.written_eos = special.get(self.eos, "")  # in a text, where the tokenizer reads it there
        if config.score_eos and self.eos is None:
            raise BadRequest(f"score_eos: {tokenizer} does not say which token ends a text. Set it to false.")

    @property
    def deciding(self) -> dict[str, Any]:
        """Give what a tokenizer's files decide of the tokens, as plain values: where they lie does not matter."""
        chat = self.template.digest if isinstance(self.template, Chat) else None
        return {"tokenizer": contents_digest(self.tokenizer), "chat template": chat, "ends": [self.bos, self.eos]}

    def tokenise(self, examples: Sequence[Example]) -> list[Tokens | NoExample]:
        """Give each example's tokens, or why it has none: too_long, no_target, chat_template."""
        found = self._tokens([self._framed(example, self.template.framed) for example in examples])
        return [
            one if isinstance(one, NoExample) else one._replace(unplaced=self._unplaced(example))
            for one, example in zip(found, examples, strict=True)
        ]

    def _unplaced(self, example: Example) -> tuple[str, ...]:
        return tuple(sorted(self.template.unplaced(example))) if example.turns else ()

    def tokenise_both(self, examples: Sequence[Example]) -> list[tuple[Tokens, Tokens] | NoExample]:
        """Give each example's tokens, and those of its answer without the question; the answer has the same ids in both.

        A plain text is the same in both.
        """
        wholes = [self._framed(example, self.template.framed) for example in examples]
        directs = [self._framed(example, self.template.direct) for example in examples]
        pairs = list(zip(self._tokens(wholes), self._tokens(directs), strict=True))
        differing = [place for place, pair in enumerate(pairs) if not _same_answer(*pair)]
        apart = (self._tokens([framed[place] for place in differing], apart=True) for framed in (wholes, directs))
        for place, *pair in zip(differing, *apart, strict=True):
            pairs[place] = tuple(pair)
        return [next((one for one in pair if isinstance(one, NoExample)), pair) for pair in pairs]

    def _framed(self, example: Example, frame: Callable[[Example, str], list[Segment]]) -> list[Segment] | NoExample:
        if not example.turns:
            return [Segment(example.text, answer=True)]
        try:
            segments = frame(example, self.turns)
        except NoExample as refusal:
            return refusal
        segments = list(self._with_ends(segments))
        while segments and segments[-1].closes and not self.config.score_eos:
            segments.pop()
        return segments or NoExample("no_target", "its answer has no tokens")

    def _with_ends(self, segments: list[Segment]) -> Iterator[Segment]:
        """Write the token that ends a text where it stands inside of one, so that what follows is read as after it."""
        for segment in segments:
            written = segment.ends and self.written_eos
            yield segment._replace(ends=False) if written else segment
            if written:
                yield Segment(self.written_eos, markup=True, closes=segment.answer)

    def _tokens(self, framed: Sequence[list[Segment] | NoExample], apart: bool = False) -> list[Tokens | NoExample]:
        texts = [self._text(one, apart) for one in framed if not isinstance(one, NoExample)]
        encoded = iter(self.encoder(texts, self.config.max_tokens))
        return [one if isinstance(one, NoExample) else self._finished(one, next(encoded)) for one in framed]

    def _text(self, segments: list[Segment], apart: bool) -> MarkedText:
        """Give the text of segments, with marks around those whose tokens must be known."""
        at, marks, cuts, literal = 0, [], set(), set()
        for segment in segments:
            end = at + len(segment.text)
            if _known(segment):
                marks += [at, end]
            if segment.answer and apart:
                cuts |= {at, end}
            if not segment.markup and self.special.search(segment.text):
                cuts |= {at, end}
                literal.add(at)
            at = end
        text = "".join(segment.text for segment in segments)
        return MarkedText(text, tuple(marks), frozenset(cuts), frozenset(literal))

    def _finished(self, segments: list[Segment], encoded: Encoded | None) -> Tokens | NoExample:
        """Mark the answers, and add what begins and ends a text."""
        most = self.config.max_tokens
        if encoded is None:
            return NoExample("too_long", f"it has more than {most} tokens")
        ids, answer = encoded.ids, np.zeros(len(encoded.ids), dtype=bool)
        said, ends, counts, ended = 0, [], [], False
        for segment, begin, end in zip(filter(_known, segments), encoded.marks[::2], encoded.marks[1::2], strict=True):
            answer[begin:end] = segment.answer or bool((segment.opens or segment.closes) and self.config.score_eos)
            said += segment.answer * (end - begin)
            ended = not segment.answer and (ended or self.eos in ids[begin:end])
            if segment.ends and self.eos is not None:
                ends.append(end)
                counts.append(bool(segment.answer and self.config.score_eos))
                ended = True
        if not said:
            return NoExample("no_target", "its answer has no tokens")
        if ends:
            ids, answer = np.insert(ids, ends, self.eos), np.insert(answer, ends, counts)
        if self.config.score_eos and not ended:
            ids, answer = np.append(ids, self.eos), np.append(answer, True)
        if self.bos is not None and not (segments[0].markup and ids[0] == self.bos):
            ids, answer = np.insert(ids, 0, self.bos), np.insert(answer, 0, False)
        if most is not None and len(ids) > most:
            return NoExample("too_long", f"it has {len(ids)} tokens, {most} are read at the most")
        return Tokens(ids.astype(np.int32), answer)


def _known(segment: Segment) -> bool:
    """Tell whether it must be known which tokens are this segment's."""
    return segment.answer or segment.opens or segment.closes or segment.ends


def _same_answer(whole: Tokens | NoExample, direct: Tokens | NoExample) -> bool:
    if isinstance(whole, NoExample) or isinstance(direct, NoExample):
        return True  # there is nothing to compare
    return np.array_equal(whole.ids[whole.answer], direct.ids[direct.answer])


def _bos(tokenizer: Tokenizer) -> int | None:
    """Give the token that a tokenizer puts before a text of its own accord, if it is one."""
    bare, full = (tokenizer.encode("a", add_special_tokens=added).ids for added in (False, True))
    return full[0] if full[1 : 1 + len(bare)] == bare and full[: len(bare)] != bare else None


def _eos(tokenizer: Tokenizer, name: str) -> int | None:
    token = eos_of(name)
    return tokenizer.token_to_id(token) if token else None
