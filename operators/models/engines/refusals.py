"""Tell an engine that refuses everyone from requests that are refused for their own sake."""

from operators.models.engines.base import Completion, EngineFailure

FEWEST_LOST = 20  # requests in a row that must come to nothing before the engine is blamed, not they
ROUNDS = 4  # of all seats that must be refused: refusals come at once, and good answers may still be on their way


class Refusals:
    """Count the refused requests (bad_request) of an engine for as long as it has answered none.

    `engine` and `advice` go into the message: what refuses, and what the user should check.
    """

    def __init__(self, engine: str, seats: int, advice: str):
        self.engine, self.enough, self.advice = engine, max(ROUNDS * seats, FEWEST_LOST), advice
        self.refused, self.answered = 0, False

    def judge(self, completion: Completion) -> Completion:
        """Hand a completion on.

        Raises EngineFailure where so many were refused (ROUNDS of all seats, at least FEWEST_LOST), and nothing was ever
        answered. One answer ends this for good; too_long and faults that may pass say nothing either way.
        """
        self.answered = self.answered or completion.error in (None, "bad_answer")
        if self.answered or completion.error != "bad_request":
            return completion
        self.refused += 1
        if self.refused >= self.enough:
            raise EngineFailure(
                f"{self.engine} refuses every request ({self.refused} of them, and none was answered; "
                f"the last: {completion.detail}). {self.advice}"
            )
        return completion
