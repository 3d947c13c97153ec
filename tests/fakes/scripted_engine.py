"""An engine that answers as it was told to."""

from operators.models.engines.base import Completion, Request


class ScriptedEngine:
    """Answers one request after the other as it was told to; an exception is raised."""

    model, seats, advice = "scripted", 4, "Check engine.openai.extra."

    def __init__(self, *answers):
        self.answers = iter(answers)

    async def complete(self, request: Request) -> Completion:
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer
