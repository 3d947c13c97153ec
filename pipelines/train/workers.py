"""What the workers of a training do: steps, and at each checkpoint a commit of the state to go on from, metrics and models."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from operators.errors import BadRequest, StorageFailure
from pipelines.counts import Counts
from pipelines.exits import RunFailed
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.ledger import Ledger, Lost
from pipelines.ledger.publish import publish_file, publish_part, table_name
from pipelines.ledger.reading import read_records
from pipelines.ledger.records import Commit, Part
from pipelines.stock.checkpoints import checkpoint_folder, step_of
from pipelines.stock.models import fetched, local_model
from pipelines.train.metrics import Live, as_table
from pipelines.train.plan import Plan
from pipelines.train.states import drop_states, fetched_state, newest_state, publish_state

TOKENS = {"read": "tokens_seen", "trained": "tokens_trained"}  # how a step's metrics name what is counted
MOST_DEATHS = 5  # of workers between two commits


def train(plan: Plan, ledger: Ledger, report: Reporter) -> None:
    """Run the steps that are left on some workers. Raises RunFailed where they cannot go on."""
    from cluster.training import run_together

    run_together(work, {"plan": plan, "ledger": ledger, "report": report}, plan.job.workers.claims)
    if why := report.why():
        raise RunFailed(why)


def work(config: dict[str, Any]) -> None:
    """Do the steps as one of the workers.

    What cannot be mended by beginning again is noted for the driver. Of several workers the others may be waiting for the one
    that ran into it, so it fails; all are started again then, and end at once.
    """
    from operators.learn.training.loop import Diverged

    plan, ledger, report = config["plan"], config["ledger"], config["report"]
    if report.why():
        return
    report.unused_gpu_noted()
    try:
        Rank(plan, ledger, report).run()
    except Diverged as error:  # all workers alike
        report.failed(f"{error} {_what_stays(ledger)}")
    except (BadRequest, Lost, StorageFailure) as error:
        report.failed(str(error))
        if plan.job.workers.count > 1:
            raise
    except Exception as error:
        report.noticed(f"{type(error).__name__}: {error}")
        raise


class Rank:
    """One rank of a run, from the last commit to the end."""

    def __init__(self, plan: Plan, ledger: Ledger, report: Reporter):
        from operators.learn.training.parallel import World

        self.plan, self.ledger, self.report = plan, ledger, report
        self.world = World.joined()
        self.first = self.world.rank == 0

    def run(self) -> None:
        begin, state = self._agreed(self._last)
        self._agreed(lambda: self._require_progress(begin))
        trainer = self._trainer()
        if state:
            self._restore(trainer, state)
        metrics, live = [], Live(self.ledger.place, begin) if self.first else None
        before = {name: getattr(trainer, name) for name in TOKENS.values()}
        for result in trainer.steps():
            row = asdict(result) | self._evaluated(trainer, result.step)
            metrics.append(row)
            if live:
                live.show(row)
                self.report.latest({name: value for name, value in row.items() if value is not None})
            if self.plan.saves(result.step):
                self._commit(trainer, begin, before, metrics)
                begin, before, metrics = result.step, row, []
        if live:
            live.close()

    def _restore(self, trainer: Any, state: str) -> None:
        """Go on from a state. Raises BadRequest where it is damaged, saying what to do."""
        with fetched_state(self.ledger.place, state) as folder:
            try:
                trainer.restore(folder)
            except BadRequest as error:
                raise BadRequest(
                    f"{error} It was fetched from {self.ledger.place.url}/{state}: remove that folder, and the same command goes "
                    "on from the state before it."
                ) from error

    def _agreed(self, decide: Callable[[], Any]) -> Any:
        """Have the first rank decide, and give all what it decided."""
        return self.world.tell(decide() if self.first else None)[0]

    def _last(self) -> tuple[int, str | None]:
        """Give the steps that are settled, and the folder of the state after them."""
        done = self.plan.done(read_records(self.ledger.place).now())
        state = newest_state(self.ledger.place, done)
        if (step_of(state) if state else 0) != done:
            raise StorageFailure(
                f"the state after step {done} is gone from {self.ledger.place.url}. The same command goes on."
            )
        return done, state

    def _require_progress(self, begin: int) -> None:
        """Raise BadRequest where workers die again and again without a commit."""
        if (deaths := self.report.begin(f"train|{self.ledger.number}|{begin}")) >= MOST_DEATHS:
            last = self.report.last_notice() or "Ray's logs may say why"
            raise BadRequest(
                f"{deaths} times a worker died before the steps after {begin} were committed ({last}). If memory is short, lower "
                "batch.micro_rows or take activation_checkpointing=true; if machines are lost more often than that, lower "
                "checkpoint.every_steps. The same command goes on."
            )

    def _trainer(self):
        from operators.learn.losses import build_loss
        from operators.learn.training.data.feeding import Shards
        from operators.learn.training.loop import Trainer

        plan, storage = self.plan, self.ledger.place.storage
        job = plan.job
        if job.model.path:
            job = replace(job, model=replace(job.model, path=local_model(job.model.path, storage)))
        shards = Shards(
            plan.packed.packing,
            [shard.rows for shard in plan.packed.shards],
            self._load,
            plan.columns,
            plan.loss.eos,
        )
        tokenizer = Path(fetched(plan.tokenizer, storage))
        return Trainer(job, build_loss(plan.loss, plan.references), shards, self.world, tokenizer)

    def _load(self, shard: int) -> tuple[pa.Table, pa.Table | None]:
        part = self.plan.packed.shards[shard]
        return self.plan.packed.load(part), self.plan.scores.load(part) if self.plan.columns else None

    def _evaluated(self, trainer: Any, step: int) -> dict[str, float | None]:
        """Evaluate on the validation rows, where that is due; null where they have no target."""
        plan = self.plan
        if plan.validation is None or not plan.due(step, plan.job.checkpoint.evaluate_every_steps):
            return {}
        evaluation = trainer.evaluate(self._validation)
        return {"validation_loss": evaluation.loss if evaluation.tokens else None}

    @cached_property
    def _validation(self) -> pa.Table:
        return self.plan.validation.head(self.plan.job.data.validation_rows)

    def _commit(self, trainer: Any, begin: int, before: dict, metrics: list[dict]) -> None:
        """Save the state, and commit the steps up to it with their metrics; a model too, where that is due."""
        step = metrics[-1]["step"]
        with tempfile.TemporaryDirectory(prefix="gristmill-state-") as scratch:
            state, model = Path(scratch, "state"), Path(scratch, "model")
            trainer.save_state(state)
            models = self.plan.makes_model(step)
            if models:
                trainer.save_model(model)
                if self.plan.job.checkpoint.moments:
                    trainer.save_moments(model, self.plan.model_before(step))
            if self.first:
                publish(self.ledger, self.plan, begin, before, metrics, state, model if models else None)
                self.report.add(without_target(metrics))
        self.report.end(f"train|{self.ledger.number}|{begin}")
        self.world.tell(None)  # none goes on before it is committed


def publish(
    ledger: Ledger, plan: Plan, begin: int, before: dict, metrics: list[dict], state: Path, model: Path | None
) -> None:
    """Publish what the steps after `begin` gave, and commit it. `before` has the counts of tokens then."""
    step = metrics[-1]["step"]
    if not ledger.current():
        raise ledger.lost()
    publish_state(ledger, step, state)
    parts = [publish_part(ledger, table_name(ledger, "data", "parquet"), as_table(metrics))]
    if model:
        parts += _published_model(ledger, checkpoint_folder(ledger.number, step), model)
    counts = {
        "kept": {"steps": len(metrics)},
        "tokens": {kind: metrics[-1][name] - before[name] for kind, name in TOKENS.items()},
    }
    counts |= without_target(metrics)
    ledger.commit(f"steps-{step}", Commit(parts, {plan.split: [plan.span(begin, step)]}, counts))
    drop_states(ledger, kept=(begin, step))


def without_target(metrics: list[dict]) -> Counts:
    """Count the steps in which nothing was to be learned."""
    steps = sum(row["loss"] is None for row in metrics)
    return {"without_target": steps} if steps else {}


def _published_model(ledger: Ledger, folder: str, model: Path) -> list[Part]:
    return [publish_file(ledger, f"{folder}/{file.name}", file.read_bytes()) for file in sorted(model.iterdir())]


def _what_stays(ledger: Ledger) -> str:
    return f"All that was committed before stays in {ledger.place.url}, the last state too."
