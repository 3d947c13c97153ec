"""Measure the rows of a pool: pool -> operator -> a feature beside the rows.

A feature is an artifact of its own, named by what decides it, so whoever selects again finds it there. The unit of work is a
part of the pool; it is committed when it is measured, so nothing is measured twice.
"""

import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from typing import Any

import pyarrow as pa

from cluster.session import ClusterConfig
from operators.settings import setting
from operators.storage.filesystem import Place, StorageConfig
from pipelines.artifacts import contents_key, finished, load_table, shard_key
from pipelines.config import identity
from pipelines.counts import Counts
from pipelines.isolation import Isolation
from pipelines.ledger import Ledger, publish_part, table_name
from pipelines.models import local_model, local_tokenizer
from pipelines.notes import StageFailure
from pipelines.order import WHOLE, Spans
from pipelines.pipeline import Output, Pipeline, described, digest, output_place
from pipelines.pool import PoolArtifact
from pipelines.progress import Report, clock
from pipelines.records import Commit, Part, State
from pipelines.telling import card, show, words_of

MODELS = ("path", "quality_model")  # fields of settings that name a model
MOST_DEATHS = 3  # of processes that measure the same rows
COLUMNS = "Arrow files, aligned to those of the pool by `id`: what was measured, or the `reason` why it could not be."


@dataclass(frozen=True)
class Feature:
    """What is measured, and by whom. `operator` is MODULE:CLASS; it is made of `blocks`, its settings, in a worker.

    A block with one of the fields MODELS names a model, and its operator gets a GPU where there is one. What changes with the
    models and tokenizers that are named stands in `contents`.
    """

    name: str
    operator: str
    blocks: tuple[Any, ...]
    contents: dict[str, Any] = field(default_factory=dict)

    @property
    def has_model(self) -> bool:
        return any(_models_of(block) for block in self.blocks)

    @property
    def deciding(self) -> dict[str, Any]:
        """Give all that decides what comes out, as plain values."""
        blocks = {type(block).__name__: identity(block) for block in self.blocks}
        return {"operator": self.operator, "settings": blocks, "contents": self.contents}

    def build(self, storage: StorageConfig) -> Any:
        """Make the operator, its models and tokenizers on this machine."""
        module, _, name = self.operator.partition(":")
        blocks = [_all_here(block, storage) for block in self.blocks]
        return getattr(import_module(module), name)(*blocks)


@dataclass
class MeasureJob:
    """Where a feature is measured, and of what."""

    feature: str = setting("", "name of the feature")
    pool: str | None = setting(None, "the pool", identity=False)
    copies: int | None = setting(
        None, "actors that hold a model; null: one per GPU, or per node without GPUs", identity=False
    )
    output: Output = field(default_factory=Output)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


class MeasureRows(Pipeline):
    """The artifact stands in `folder`, named by what decides it."""

    def __init__(self, job: MeasureJob, feature: Feature, pool: PoolArtifact, folder: str):
        self.job, self.feature, self.pool, self.cluster = job, feature, pool, job.cluster
        shards = {shard_key(part): [part.bytes, part.checksum] for part in pool.parts}
        self.run = described("measure", job, feature.deciding | {"pool": pool.key}, shards, list(shards))
        self.place = output_place(f"{folder}/{feature.name}-{digest(self.run)}", job.storage, "")

    def left(self, state: State) -> list[Part]:
        return [part for part in self.pool.parts if not state.done.get(shard_key(part), Spans()).complete]

    def of_all(self, work: list[Part]) -> Counts:
        return {"read": {"of_rows": sum(part.rows for part in work)}}

    def pace(self) -> "MeasurePace":
        return MeasurePace(self.feature.name)

    def stream(self, work: list[Part], ledger: Ledger, report: Report) -> None:
        measure(self, work, ledger, report)

    @staticmethod
    def card(run: dict, counts: Counts, title: str) -> str:
        what = "What was measured of the rows of a pool, made by `gristmill run select`."
        return card("measure", title, what, facts(run, counts), COLUMNS, "data/*.arrow")

    @staticmethod
    def show(run: dict, counts: Counts, title: str | None) -> None:
        show(title, facts(run, counts))


def measure(pipeline: MeasureRows, work: list[Part], ledger: Ledger, report: Report) -> None:
    """Stream parts of the pool through actors that hold the operator, and commit what they give."""
    import ray.data

    from cluster.resources import cpus, model_share

    rows = [{"part": asdict(part)} for part in work]
    units = ray.data.from_items(rows, override_num_blocks=min(len(rows), 4096))
    copies, share = (
        model_share(pipeline.job.copies) if pipeline.feature.has_model else (max(1, int(cpus())), {"num_cpus": 1})
    )
    arguments = (pipeline.feature, pipeline.pool, ledger, Isolation(report, float("inf")))
    units.map_batches(
        MeasureParts,
        fn_constructor_args=arguments,
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(copies, len(rows))),
        **share,
    ).materialize()


class MeasureParts:
    """Measure parts of a pool in an actor that holds the operator."""

    def __init__(self, feature: Feature, pool: PoolArtifact, ledger: Ledger, isolation: Isolation):
        self.feature, self.pool, self.ledger, self.isolation = feature, pool, ledger, isolation
        with isolation.report.explaining():
            self.operator = feature.build(pool.place.storage)

    def __call__(self, rows: pa.Table) -> pa.Table:
        with self.isolation.report.explaining():
            for part in rows["part"].to_pylist():
                self._measure(Part(**part))
        return pa.table({"parts": [len(rows)]})

    def _measure(self, part: Part) -> None:
        number = int(part.checksum[:12], 16)
        if self.ledger.holds(f"part-{number}"):
            return
        if not self.ledger.current():
            raise self.ledger.lost()
        with self.isolation.noted(f"measure|{self.feature.name}|{part.name}") as deaths:
            if deaths >= MOST_DEATHS:
                raise StageFailure(
                    f"{deaths} processes died of measuring {self.feature.name} of {part.name}. If memory is short, lower "
                    "scorer.batch_tokens; the same command goes on."
                )
            measured = self.operator(self.pool.load(part))
        published = publish_part(self.ledger, table_name(self.ledger, "data", "arrow"), measured)
        unmeasured = Counter(measured["reason"].drop_null().to_pylist())
        counts = {"kept": {"rows": len(measured)}, "unmeasured": dict(unmeasured)}
        self.ledger.commit(f"part-{number}", Commit([published], {shard_key(part): [WHOLE]}, counts))
        self.isolation.report.add({"settled": {"kept": part.rows}})


@dataclass(frozen=True)
class FeatureArtifact:
    """A finished feature of a pool: a part for each part of the pool, by its shard_key."""

    place: Place
    parts: dict[str, Part]
    key: str

    def load(self, part: Part) -> pa.Table:
        """Read what was measured of a part of the pool."""
        return load_table(self.place, self.parts[shard_key(part)])


def open_feature(place: Place) -> FeatureArtifact:
    """Open what was measured of a pool. Raises BadRequest where that is not finished."""
    place, records = finished(place.url, place.storage, "feature", "measure")
    parts = {shard: commit.parts[0] for commit in records.commits(place) for shard in commit.spans}
    return FeatureArtifact(place, parts, contents_key(parts[shard] for shard in records.run["splits"]))


def _models_of(block: Any) -> dict[str, str]:
    return {name: model for name in MODELS if (model := getattr(block, name, None))}


def _all_here(block: Any, storage: StorageConfig) -> Any:
    here = {name: local_model(model, storage) for name, model in _models_of(block).items()}
    if tokenizer := getattr(block, "tokenizer", None):
        here["tokenizer"] = local_tokenizer(tokenizer, storage)
    return replace(block, **here) if here else block


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    return [
        ("feature", run["config"]["feature"]),
        ("rows", f"{counts.get('kept', {}).get('rows', 0):,}"),
        ("of which something is missing", words_of(counts.get("unmeasured", {}))),
    ]


@dataclass
class MeasurePace:
    """Shows rows and their rate, from the first part on: loading models is no measuring."""

    feature: str
    began: float = field(default_factory=time.monotonic)
    first: tuple[float, int] | None = None

    def line(self, counts: Counts) -> str:
        rows, of, now = counts.get("settled", {}).get("kept", 0), counts["read"].get("of_rows", 0), time.monotonic()
        if rows and not self.first:
            self.first = (now, rows)
        begun, before = self.first if self.first and rows > self.first[1] else (self.began, 0)
        rate = (rows - before) / max(now - begun, 1e-9)
        left = clock((of - rows) / rate) if rate else "-"
        return f"{clock(now - self.began)}  {self.feature}: {rows:,} of {of:,} rows | {rate:,.0f} rows/s | ETA {left}"
