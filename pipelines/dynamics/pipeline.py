"""Training dynamics: how the loss of each token moves over the checkpoints of a run: score each checkpoint -> classify -> page.

Every checkpoint scores the packed rows into an artifact of its own under OUTPUT/losses, which is reused. A second pass goes
through the shards one by one, with four sums a token, and classifies.
Source: Rho-1, arXiv:2404.07965, its section on training dynamics.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from cluster.claims import a_model_each
from operators.errors import BadRequest
from operators.models.device import may_use_gpu
from operators.storage.place import Place
from operators.text.tokenizer import load_tokenizer
from pipelines.counts import Counts
from pipelines.dynamics.card import PAGE, DynamicsCard
from pipelines.dynamics.job import DynamicsJob
from pipelines.dynamics.tasks import classify_shard, curves_from, mean_loss, totals_from
from pipelines.flow.board.pace import CountPace
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.artifacts import shard_key
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import Part, State
from pipelines.pack.artifact import TOKENIZER, PackedArtifact
from pipelines.run.output import output_place
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import described
from pipelines.run.stage import Stage
from pipelines.score.artifact import ScoreArtifact, loss_columns
from pipelines.score.job import DataConfig, ReferenceConfig, ScoreJob, ScoreOutput
from pipelines.score.pipeline import ScoreRows
from pipelines.settings import identity
from pipelines.stock.checkpoints import checkpoints, step_of
from pipelines.stock.fit import require_fit
from pipelines.stock.models import fetched, resolve_model


@dataclass(frozen=True)
class Checkpoint:
    """A model on the way: its name on the page, where it is, and what changes with its contents."""

    name: str
    model: str
    contents: str | None


class Dynamics(Pipeline):
    """Raises BadRequest for what cannot work, before anything is spent."""

    card = DynamicsCard()

    def __init__(self, job: DynamicsJob):
        self.job, self.cluster = job, job.cluster
        self.place = output_place(job.output.path, job.storage, "runs/dynamics")
        self.packed = PackedArtifact.open(job.data.path, job.storage, "data.path")
        self.checkpoints = list(_checkpoints(job))
        if len(self.checkpoints) < 2:
            raise BadRequest(
                f"checkpoints names {len(self.checkpoints)} models. A change needs two at the least, and ten show it well: give "
                "their folders, or the artifact of `gristmill run pretrain`."
            )
        for checkpoint in self.checkpoints:
            require_fit(checkpoint.model, self.packed.packing, job.storage)
        self.reference = (
            ScoreArtifact.open(job.data.scores, job.storage, "data.scores").of(self.packed) if job.data.scores else None
        )
        if self.reference:
            loss_columns(job.loss, self.reference)
        self.place.check_writable()
        contents = {
            "packed rows": self.packed.key,
            "checkpoints' contents": [checkpoint.contents for checkpoint in self.checkpoints],
            "reference": self.reference and self.reference.key,
        }
        shards = {shard_key(shard): [shard.bytes, shard.checksum] for shard in self.packed.shards}
        self.recipe = described("dynamics", job, contents, shards, list(map(shard_key, self.packed.shards)))

    def stages(self) -> Iterator[Stage]:
        """Score every checkpoint."""
        claims = a_model_each(None, may_use_gpu(self.job.score.device))
        for checkpoint in self.checkpoints:
            scoring = ScoreRows(self._scoring(checkpoint))
            yield Stage(f"losses of {checkpoint.name}", "score", scoring.given, claims=claims)

    def left(self, state: State) -> list[Part]:
        return [shard for shard in self.packed.shards if state.lacks(shard_key(shard))]

    def of_all(self, work: list[Part]) -> Counts:
        return {"read": {"of_rows": sum(shard.rows for shard in work)}}

    def pace(self) -> CountPace:
        return CountPace("of_rows", "rows classified")

    def stream(self, work: list[Part], ledger: Ledger, report: Reporter) -> None:
        """Classify shard by shard, several at a time."""
        import ray

        from cluster.resources import cpu_share

        mean_last = mean_loss(self.losses[-1], self.packed)
        task = ray.remote(classify_shard).options(num_cpus=cpu_share(1))
        arguments = (self.packed, self.losses, mean_last, self.job.threshold, ledger, report)
        shared = ray.put(arguments)
        ray.get([task.remote(shared, shard) for shard in work])

    @cached_property
    def losses(self) -> list[ScoreArtifact]:
        """The losses of every checkpoint, once all are scored."""
        places = (self._scoring(checkpoint).output.path for checkpoint in self.checkpoints)
        return [ScoreArtifact.open(place, self.job.storage, "losses").of(self.packed) for place in places]

    def _scoring(self, checkpoint: Checkpoint) -> ScoreJob:
        job = self.job
        deciding = (
            f"{checkpoint.contents} {self.packed.key} {identity(job.score)}"  # other losses stand in another folder
        )
        key = blake2b(deciding.encode(), digest_size=4).hexdigest()
        name = f"{checkpoint.name.replace(' ', '-').replace(',', '')}-{key}"
        return ScoreJob(
            data=DataConfig(path=job.data.path),
            reference=ReferenceConfig(models=[checkpoint.model]),
            score=job.score,
            output=ScoreOutput(path=f"{self.place.url}/losses/{name}"),
            storage=job.storage,
            cluster=job.cluster,
        )

    def report(self, state: State) -> dict[str, bytes]:
        """Write the page."""
        from operators.learn.dynamics.page import DynamicsReport, page
        from pipelines.dynamics.samples import samples

        job = self.job
        totals, curves = totals_from(state.counts), curves_from(state.counts, len(self.checkpoints))
        mean_last = mean_loss(self.losses[-1], self.packed)
        names = [checkpoint.name for checkpoint in self.checkpoints]
        texts = samples(
            self.packed, self.losses, self.reference, job.loss, job.threshold, mean_last, job.output.samples
        )
        report = DynamicsReport("Training dynamics", names, totals, curves, job.threshold, mean_last, list(texts))
        tokenizer = load_tokenizer(fetched(f"{self.packed.place.url}/{TOKENIZER}", self.job.storage))
        return {PAGE: page(report, tokenizer).encode()}


def _checkpoints(job: DynamicsJob) -> Iterator[Checkpoint]:
    """Give the models; an artifact of training stands for all of its checkpoints."""
    for address in job.checkpoints:
        place = Place(address, job.storage)
        folders = checkpoints(place) if "://" in address or Path(place.url).is_dir() else []
        for folder in folders:
            model, contents = resolve_model(f"{place.url}/{folder}", job.storage)
            yield Checkpoint(f"step {step_of(folder):,}", model, contents)
        if not folders:
            model, contents = resolve_model(address, job.storage)
            yield Checkpoint(address.rstrip("/").rpartition("/")[2], model, contents)
