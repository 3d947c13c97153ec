"""What became of an engine's requests so far, so that no operator beside an engine has to count them."""

from dataclasses import dataclass

from operators.errors import BadRequest
from operators.models.engines.base import Completion, Engine, EngineFailure, Request
from pipelines.flow.engines.wrapped import WrappedEngine


@dataclass
class Progress:
    """Counts of requests. Tokens are those of the engine's own counts."""

    done: int = 0
    failed: int = 0
    in_flight: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def add(self, completion: Completion) -> None:
        self.done += 1
        self.failed += completion.error is not None
        self.prompt_tokens += completion.prompt_tokens or 0
        self.cached_tokens += completion.cached_tokens
        self.completion_tokens += completion.completion_tokens or 0


class CountedEngine(WrappedEngine):
    """An engine that counts what is asked of it."""

    def __init__(self, engine: Engine):
        super().__init__(engine)
        self.progress = Progress()

    async def complete(self, request: Request) -> Completion:
        self.progress.in_flight += 1
        try:
            completion = await self.engine.complete(request)
        except (EngineFailure, BadRequest):
            raise  # no request is to blame
        except Exception as error:
            self.progress.add(Completion(None, error=type(error).__name__))
            raise
        finally:
            self.progress.in_flight -= 1
        self.progress.add(completion)
        return completion
