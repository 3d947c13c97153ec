"""Train a causal language model on packed rows, with Ray Train: packed rows (and scores) -> steps -> checkpoints.

`reference` trains a reference model with plain cross-entropy, `pretrain` trains with any loss; both are one trainer. The unit
of work is a stretch of steps up to a checkpoint. It is committed with its metrics once the state to go on from is there, so
whoever dies when, the run goes on from the last commit as if nothing had happened.
Source: Rho-1, arXiv:2404.07965, section 2.2, steps 1 and 3.
"""

from collections.abc import Callable
from dataclasses import asdict

from operators.errors import BadRequest
from operators.learn.losses.config import LossConfig
from operators.storage.base import END
from operators.storage.place import Place
from pipelines.counts import Counts
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import State
from pipelines.ledger.rollback import without_spans
from pipelines.pack.artifact import TOKENIZER, PackedArtifact
from pipelines.run.output import output_place
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import described
from pipelines.score.artifact import ScoreArtifact, loss_columns
from pipelines.stock.checkpoints import step_of
from pipelines.stock.fit import require_fit
from pipelines.stock.models import resolve_model
from pipelines.train.card import PretrainCard, ReferenceCard
from pipelines.train.job import PretrainJob, ReferenceJob
from pipelines.train.pace import TrainPace
from pipelines.train.plan import Plan
from pipelines.train.states import newest_state

A_FEW, SHARE = 3, 0.01  # steps without a target, or of all steps, that need no words


class Train(Pipeline):
    """Raises BadRequest for what cannot work, before anything is spent."""

    card = ReferenceCard()
    name = "reference"
    begun = 0  # the step that this run went on from

    def __init__(self, job: ReferenceJob):
        self.job, self.cluster = job, job.cluster
        if not job.model.path:
            job.model.shape()
        loss = job.loss if isinstance(job, PretrainJob) else LossConfig()
        self.place = output_place(job.output.path, job.storage, f"runs/{self.name}")
        packed = PackedArtifact.open(job.data.path, job.storage, "data.path")
        validation = _validation(job, packed)
        scores = _scores(job, packed)
        tokenizer, model_contents = f"{packed.place.url}/{TOKENIZER}", None
        if job.model.path:
            job.model.path, model_contents = resolve_model(job.model.path, job.storage)
            require_fit(job.model.path, packed.packing, job.storage)
        steps = job.total_steps(packed.rows, packed.packing.window)
        self.plan = Plan(job, loss, packed, scores, validation, tokenizer, loss_columns(loss, scores), steps)
        self.place.check_writable()
        contents = {
            "packed rows": packed.key,
            "validation rows": validation and validation.key,
            "scores": scores and scores.key,
            "model's contents": model_contents,
            "packing": asdict(packed.packing),
        }
        if loss.scope == "microbatch":  # there these decide which tokens compete
            contents |= {"batch.micro_rows": job.batch.micro_rows, "workers.count": job.workers.count}
        self.recipe = described(self.name, job, contents, {}, [self.plan.split])

    def left(self, state: State) -> list[int]:
        """Give the step to go on from."""
        done = self.plan.done(state)
        return [done] if done < self.plan.steps else []

    def ready(self, place: Place, ledger: Ledger, state: State, say: Callable[[str], None]) -> State:
        """Take back the steps after the newest state there is: where commits were taken back, later ones follow nothing."""
        done = self.plan.done(state)
        newest = newest_state(place, done)
        from_step = step_of(newest) if newest else 0
        settled = [span for spans in state.done.values() for span in spans.spans]
        if done == self.plan.steps or all(end <= (from_step, 0) for _, end in settled):
            return state
        if from_step < done:
            say(f"note: the state after step {done:,} is gone, so the steps after {from_step:,} are done again")
        return without_spans(ledger, state, {self.plan.split: [((from_step, 0), (END, 0))]})

    def of_all(self, work: list[int]) -> Counts:
        return {"read": {"of_steps": self.plan.steps}}

    def pace(self) -> TrainPace:
        return TrainPace()

    def afterwards(self, counts: Counts) -> list[str]:
        steps, done = counts.get("without_target", 0), self.plan.steps - self.begun
        if steps <= max(A_FEW, SHARE * done):
            return []
        of_steps = f"{done:,} steps" if not self.begun else f"{done:,} steps of this run"
        return [
            f"note: {steps:,} of {of_steps} had no target: their rows are prompts and padding alone, and nothing "
            "was learned in them. Rows of a longer pack.window, or more of them in a step (batch.rows), have targets in each."
        ]

    def stream(self, work: list[int], ledger: Ledger, report: Reporter) -> None:
        from pipelines.train.workers import train

        (self.begun,) = work
        train(self.plan, ledger, report)


class Pretrain(Train):
    card = PretrainCard()
    name = "pretrain"


def _scores(job: ReferenceJob, packed: PackedArtifact) -> ScoreArtifact | None:
    path = job.data.scores if isinstance(job, PretrainJob) else None
    return ScoreArtifact.open(path, job.storage, "data.scores").of(packed) if path else None


def _validation(job: ReferenceJob, packed: PackedArtifact) -> PackedArtifact | None:
    """Open the validation rows. Raises BadRequest where they were packed in another way than those to train on."""
    if not job.data.validation:
        return None
    validation = PackedArtifact.open(job.data.validation, job.storage, "data.validation")
    if validation.packing != packed.packing:
        raise BadRequest(
            f"data.validation was packed in another way than data.path: {validation.packing} there, {packed.packing} here. "
            "Pack it with the same settings."
        )
    return validation
