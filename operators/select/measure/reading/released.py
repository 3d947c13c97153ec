"""What the code of the comparison paper (arXiv:2410.09335) reads and scores, faults included: its table can be re-examined.

Code: https://github.com/xiatingyu/SFT-DataSelection-at-scale. Crashes and scores of other rows are not reproduced: there a row
has no score.
"""

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from operators.examples.base import Example
from operators.select.measure.base import NO_PROMPT, NO_TARGET, TOO_LONG
from operators.select.measure.reading.line import Context, following

CROSS_ENTROPY = "released_cross_entropy"
ANSWER_LOSS, DIRECT_LOSS = "released_answer_loss", "released_direct_loss"
COLUMNS = (CROSS_ENTROPY, ANSWER_LOSS, DIRECT_LOSS)
LABEL = "Assistant: "
SPARE = 4  # tokens that a direct text may have beyond the limit less the prompt


def released_contexts(
    examples: Sequence[Example], numbers: Sequence[int], tokenizer: Tokenizer, limit: int
) -> tuple[list[Context], dict[int, str]]:
    """Give the contexts of examples, and why one of a row is missing. `numbers` are those of their rows."""
    contexts, reasons = [], {}
    asked = []
    for number, example in zip(numbers, examples, strict=True):
        if example.turns:
            asked.append((number, _prompt(example), example.answer))
        else:
            reasons[number] = NO_PROMPT
    for parts in zip(_cross_entropy(asked, tokenizer, limit), _difficulty(asked, tokenizer, limit), strict=True):
        for found in parts:
            for one in found if isinstance(found, list) else [found]:
                if isinstance(one, Context):
                    contexts.append(one)
                else:
                    reasons.setdefault(*one)
    return contexts, reasons


def _prompt(example: Example) -> str:
    """Frame all turns but the last; what no user says stands as it is, also a system turn."""
    turns = example.turns[:-1]
    said = (f"\nHuman: {turn.content}\n{LABEL}" if turn.role == "user" else turn.content for turn in turns)
    return "".join(said).strip()


def _cross_entropy(asked: list[tuple[int, str, str]], tokenizer: Tokenizer, limit: int):
    """Prompt and answer are encoded apart, each with its own BOS, and the state of a token is compared with that token.

    Where the answer begins is told by the prompt's ids that are not 0.
    """
    prompts, answers = (_encoded([parts[place] for parts in asked], tokenizer) for place in (1, 2))
    for (number, _, _), prompt, answer in zip(asked, prompts, answers, strict=True):
        begin = int(np.count_nonzero(prompt[:limit]))
        ids = np.concatenate([prompt[:limit], answer[: max(0, limit - begin)]])
        if begin >= limit:
            yield number, TOO_LONG
        elif begin >= len(ids):
            yield number, NO_TARGET
        else:
            targets = np.append(False, np.arange(len(ids)) >= begin)
            yield Context(number, CROSS_ENTROPY, ids, np.append(0, ids), targets)


def _difficulty(asked: list[tuple[int, str, str]], tokenizer: Tokenizer, limit: int):
    """The answer begins after so many tokens as the text before it has when it is encoded alone."""
    wholes = [prompt + answer for _, prompt, answer in asked]
    directs = [LABEL + answer for _, _, answer in asked]
    texts = [*zip(wholes, directs, strict=True)]
    heads = [
        tuple(text[: text.rfind(answer)] for text in pair) for pair, (*_, answer) in zip(texts, asked, strict=True)
    ]
    encoded = [_encoded([pair[side] for pair in pairs], tokenizer) for pairs in (texts, heads) for side in (0, 1)]
    prompts = _encoded([prompt for _, prompt, _ in asked], tokenizer)
    for (number, *_), prompt, whole, direct, head, label in zip(asked, prompts, *encoded, strict=True):
        if len(prompt) >= limit or len(whole) > limit or len(direct) > limit - len(prompt) + SPARE:
            yield number, TOO_LONG
            continue
        pair = [
            following(number, kind, ids, np.arange(len(ids)) >= len(before))
            for kind, ids, before in ((ANSWER_LOSS, whole, head), (DIRECT_LOSS, direct, label))
        ]
        yield pair if all(context.targets.any() for context in pair) else (number, NO_TARGET)


def _encoded(texts: Sequence[str], tokenizer: Tokenizer) -> list[np.ndarray]:
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=True)
    return [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
