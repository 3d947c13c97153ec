"""One batch of transformers' generate, in which each row keeps its own seed, sampling and end."""

from collections.abc import Sequence
from typing import Any

from operators.models.engines.base import Request
from operators.models.engines.endings import CAPPED, UNFINISHED, WHOLE

# Shapes: B rows of T tokens, V words of the vocabulary.


class RowSampler:
    """A logits processor that draws each row's next token and leaves nothing else to choose.

    `generate` itself takes one temperature and one seed for a whole batch. A row with temperature 0 stays greedy.
    """

    def __init__(self, requests: Sequence[Request], device: Any):
        import torch

        self.requests = requests
        self.draws = [torch.Generator(device=device) for _ in requests]
        for draw, request in zip(self.draws, requests, strict=True):
            draw.seed() if request.seed is None else draw.manual_seed(request.seed % 2**63)

    def __call__(self, ids_BT: Any, logits_BV: Any) -> Any:
        import torch

        drawn_BV = torch.full_like(logits_BV, -torch.inf)
        for row, (request, draw) in enumerate(zip(self.requests, self.draws, strict=True)):
            drawn_BV[row, _next_token(logits_BV[row].float(), request, draw)] = 0
        return drawn_BV


def _next_token(logits_V: Any, request: Request, draw: Any) -> Any:
    import torch

    if request.temperature == 0:
        return logits_V.argmax()
    shares_V = torch.softmax(logits_V / request.temperature, dim=-1)
    if request.top_p == 1:
        return torch.multinomial(shares_V, 1, generator=draw)
    shares_V, tokens_V = shares_V.sort(descending=True)
    # The smallest set of tokens that holds top_p; the likeliest always belongs to it.
    shares_V[shares_V.cumsum(dim=-1) - shares_V >= request.top_p] = 0
    return tokens_V[torch.multinomial(shares_V, 1, generator=draw)]


class RowLimits:
    """A stopping criterion that ends each row at its own max_tokens or stop string; `cut` then tells where and why.

    `width` is the padded length of the prompts in tokens, `ends` are the model's end tokens, and `limits` holds a
    (max_tokens, stop strings) for each row.
    """

    def __init__(self, tokenizer: Any, width: int, ends: Sequence[int], limits: Sequence[tuple[int, Sequence[str]]]):
        self.tokenizer, self.width, self.ends, self.limits = tokenizer, width, set(ends), limits
        self.stopped_at: dict[int, int] = {}  # row -> number of tokens when its stop string was there

    def __call__(self, ids_BT: Any, scores: Any, **_: Any) -> Any:
        import torch

        done = ids_BT.shape[1] - self.width
        over = [self._is_over(row, ids_BT, done) for row in range(len(self.limits))]
        return torch.tensor(over, device=ids_BT.device)

    def _is_over(self, row: int, ids_BT: Any, done: int) -> bool:
        max_tokens, stop = self.limits[row]
        if done >= max_tokens or row in self.stopped_at:
            return True
        if stop:
            # A token is a byte at the least, and the newest may have ended a stop string that began that far back.
            reach = max(len(each.encode()) for each in stop) + 1
            tail = self.tokenizer.decode(
                ids_BT[row, max(self.width, ids_BT.shape[1] - reach) :], skip_special_tokens=True
            )
            if any(each in tail for each in stop):
                self.stopped_at[row] = done
                return True
        return False

    def cut(self, row: int, ids: list[int]) -> tuple[list[int], str]:
        """Cut a row's new tokens, padded to its batch, where it ended: (tokens with the end token, how it ended)."""
        max_tokens = self.limits[row][0]
        ids = ids[: min(max_tokens, self.stopped_at.get(row, max_tokens))]
        end = next((place for place, token in enumerate(ids) if token in self.ends), None)
        if end is not None:
            return ids[: end + 1], WHOLE
        return ids, WHOLE if row in self.stopped_at else CAPPED if len(ids) == max_tokens else UNFINISHED
