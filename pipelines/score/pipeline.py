"""Score packed rows with reference models: packed rows -> scorer pool -> scores beside the tokens.

The unit of work is a range of rows of a shard; it is committed when it is scored, so nothing is scored twice.
Source: Rho-1, arXiv:2404.07965, section 2.2, step 2.
"""

from dataclasses import asdict

from cluster.claims import a_model_each
from operators.learn.score.base import Server, score_columns
from operators.models.device import may_use_gpu
from pipelines.counts import Counts
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.artifacts import shard_key
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import State
from pipelines.ledger.spans import Spans
from pipelines.pack.artifact import PackedArtifact
from pipelines.run.output import output_place
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import described
from pipelines.score.card import ScoreCard
from pipelines.score.job import ScoreJob, require_reference
from pipelines.score.pace import ScorePace
from pipelines.score.tasks import RowRange, score, units
from pipelines.stock.fit import require_fit, require_tokenizer
from pipelines.stock.models import address_of, local_tokenizer, resolve_model


class ScoreRows(Pipeline):
    """Raises BadRequest for what cannot work, before anything is spent."""

    card = ScoreCard()

    def __init__(self, job: ScoreJob):
        self.job, self.cluster = job, job.cluster
        require_reference(job.reference)
        self.place = output_place(job.output.path, job.storage, "runs/scores")
        self.packed = PackedArtifact.open(job.data.path, job.storage, "data.path")
        resolved = [resolve_model(model, job.storage) for model in job.reference.models]
        self.models = [model for model, _ in resolved]
        for model in self.models:
            require_fit(model, self.packed.packing, job.storage)
        if job.reference.openai:
            job.reference.tokenizer = address_of(job.reference.tokenizer, job.storage)
            require_tokenizer(local_tokenizer(job.reference.tokenizer, job.storage), self.packed.packing)
        self.place.check_writable()
        references = len(self.models) or 1
        self.recipe = described(
            "score",
            job,
            {
                "packed rows": self.packed.key,
                "packing": asdict(self.packed.packing),
                "references' contents": [contents for _, contents in resolved],
                "columns": score_columns(references, job.score.entropy),
            },
            {shard_key(shard): [shard.bytes, shard.checksum] for shard in self.packed.shards},
            [shard_key(shard) for shard in self.packed.shards],
        )
        on_gpus = may_use_gpu(job.score.device) and not job.reference.openai
        self.claims = a_model_each(job.reference.copies, on_gpus, most=len(self.left(State())))

    def left(self, state: State) -> list["RowRange"]:
        return [
            unit
            for shard in self.packed.shards
            for unit in units(shard, self._rows_per_unit)
            if state.done.get(shard_key(shard), Spans()).outside(unit.span)
        ]

    def of_all(self, work: list["RowRange"]) -> Counts:
        return {"read": {"of_rows": sum(unit.rows for unit in work), "window": self.packed.packing.window}}

    def pace(self) -> ScorePace:
        return ScorePace()

    def stream(self, work: list["RowRange"], ledger: Ledger, report: Reporter) -> None:
        reference = self.job.reference
        servers = [Server(reference.openai, reference.tokenizer)] if reference.openai else []
        score(self.packed, [*self.models, *servers], self.job, self.claims, work, ledger, report)

    @property
    def _rows_per_unit(self) -> int:
        return max(1, self.job.output.tokens_per_part // self.packed.packing.window)
