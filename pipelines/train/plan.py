"""The plan of a training run, which its workers are handed."""

from dataclasses import dataclass

from operators.learn.losses.config import LossConfig
from operators.storage.base import END
from pipelines.ledger.records import State
from pipelines.ledger.spans import Span, Spans
from pipelines.pack.artifact import PackedArtifact
from pipelines.score.artifact import ScoreArtifact
from pipelines.train.job import ReferenceJob

CHECKPOINTS_OF_A_RUN = 10  # by default


@dataclass(frozen=True)
class Plan:
    """What the workers are handed: the job, its data, and when to do what. Can be pickled."""

    job: ReferenceJob
    loss: LossConfig
    packed: PackedArtifact
    scores: ScoreArtifact | None
    validation: PackedArtifact | None
    tokenizer: str
    columns: tuple[str, ...]  # of the scores, that the loss reads
    steps: int

    @property
    def references(self) -> int:
        """Count the references whose losses the scores hold; 1 where there are no scores."""
        return self.scores.references if self.scores else 1

    def due(self, step: int, every: int | None) -> bool:
        """Whether something is to be done after a step: every so many, and after the last."""
        return step == self.steps or step % self._every(every) == 0

    def _every(self, steps: int | None) -> int:
        return steps or max(1, self.steps // CHECKPOINTS_OF_A_RUN)

    def makes_model(self, step: int) -> bool:
        """Whether a model is saved for good after a step."""
        return self.due(step, self.job.checkpoint.model_every_steps)

    def model_before(self, step: int) -> int:
        """Give the step after which the model before that of `step` was saved; 0 where none was."""
        every = self._every(self.job.checkpoint.model_every_steps)
        return (step - 1) // every * every

    def saves(self, step: int) -> bool:
        """Whether the steps so far are committed."""
        return self.makes_model(step) or self.due(step, self.job.checkpoint.every_steps)

    @property
    def split(self) -> str:
        return f"steps:0-{self.steps}"

    def span(self, begin: int, end: int) -> Span:
        """Give the places that the steps after `begin` up to `end` settle."""
        return (begin, 0), (END if end == self.steps else end, 0)

    def done(self, state: State) -> int:
        """Count the steps that are settled."""
        spans = state.done.get(self.split, Spans()).spans
        return min(spans[0][1][0], self.steps) if spans and spans[0][0] == (0, 0) else 0
