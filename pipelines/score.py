"""Score packed rows with reference models: packed rows -> scorer pool -> scores beside the tokens.

The unit of work is a range of rows of a shard; it is committed when it is scored, so nothing is scored twice.
Source: Rho-1, arXiv:2404.07965, section 2.2, step 2.
"""

import time
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

import pyarrow as pa

from cluster.session import ClusterConfig
from operators.engines.openai import OpenAIConfig
from operators.errors import BadRequest
from operators.score.base import NotFinite, ScoreConfig, Server, score_columns
from operators.settings import setting
from operators.storage.filesystem import StorageConfig
from pipelines.artifacts import load_table, shard_key
from pipelines.counts import Counts
from pipelines.isolation import Isolation
from pipelines.ledger import Ledger, publish_part, table_name
from pipelines.models import (
    address_of,
    local_model,
    local_tokenizer,
    require_fit,
    require_tokenizer,
    resolve_model,
)
from pipelines.notes import StageFailure
from pipelines.order import END, Span, Spans
from pipelines.packed import PackedArtifact, open_packed
from pipelines.pipeline import Output, Pipeline, described, output_place
from pipelines.progress import Report, clock
from pipelines.records import Commit, Part, State
from pipelines.telling import card, show

COLUMNS = (
    "Arrow files, aligned to those of the packed rows by `id` and `checksum` (of a row's tokens). `reference_loss` is "
    "-log P(token | what stands before it) in nats, NaN where nothing is predicted; with several references "
    "there is a column for each, `reference_loss_1` and on."
)
MOST_DEATHS = 3  # of processes that score the same rows


@dataclass
class DataConfig:
    path: str | None = setting(None, "packed rows: the folder that `gristmill run pack` made", identity=False)


@dataclass
class ReferenceConfig:
    """Who scores: models in the pipeline's own actors, or one behind an endpoint."""

    models: list[str] = setting(
        [], "reference models: folders in Hugging Face format, hub names, or artifacts of `reference` and `pretrain`"
    )
    openai: OpenAIConfig | None = setting(None, "a server that gives log-probabilities of prompts; for small sets")
    tokenizer: str | None = setting(None, "with openai: the tokenizer of the rows, as for pack.tokenizer")
    copies: int | None = setting(
        None, "actors that score, each with all references; null: one per GPU, or per node without GPUs", identity=False
    )

    def __post_init__(self):
        if self.copies is not None and self.copies < 1:
            raise BadRequest(f"reference.copies is a number of actors from 1 or null, got {self.copies}.")


@dataclass
class ScoreOutput(Output):
    tokens_per_part: int = setting(2**20, "tokens of a part, about: what is scored again if its actor dies")

    def __post_init__(self):
        if self.tokens_per_part < 1:
            raise BadRequest(f"output.tokens_per_part is a number of tokens from 1, got {self.tokens_per_part}.")


@dataclass
class ScoreJob:
    """Everything `gristmill run score` can be told."""

    data: DataConfig = field(default_factory=DataConfig)
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    output: ScoreOutput = field(default_factory=ScoreOutput)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


class ScoreRows(Pipeline):
    """Raises BadRequest for what cannot work, before anything is spent."""

    def __init__(self, job: ScoreJob):
        self.job, self.cluster = job, job.cluster
        require_reference(job.reference)
        self.place = output_place(job.output.path, job.storage, "runs/scores")
        self.packed = open_packed(job.data.path, job.storage, "data.path")
        resolved = [resolve_model(model, job.storage) for model in job.reference.models]
        self.models = [model for model, _ in resolved]
        for model in self.models:
            require_fit(model, self.packed.packing, job.storage)
        if job.reference.openai:
            job.reference.tokenizer = address_of(job.reference.tokenizer, job.storage)
            require_tokenizer(local_tokenizer(job.reference.tokenizer, job.storage), self.packed.packing)
        self.place.check_writable()
        references = len(self.models) or 1
        self.run = described(
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

    def left(self, state: State) -> list["Unit"]:
        return [
            unit
            for shard in self.packed.shards
            for unit in units(shard, self._rows_per_unit)
            if state.done.get(shard_key(shard), Spans()).outside(unit.span)
        ]

    def of_all(self, work: list["Unit"]) -> Counts:
        return {"read": {"of_rows": sum(unit.rows for unit in work), "window": self.packed.packing.window}}

    def pace(self) -> "ScorePace":
        return ScorePace()

    def stream(self, work: list["Unit"], ledger: Ledger, report: Report) -> None:
        reference = self.job.reference
        servers = [Server(reference.openai, reference.tokenizer)] if reference.openai else []
        score(self.packed, [*self.models, *servers], self.job, work, ledger, report)

    @property
    def _rows_per_unit(self) -> int:
        return max(1, self.job.output.tokens_per_part // self.packed.packing.window)

    @staticmethod
    def card(run: dict, counts: Counts, title: str) -> str:
        what = "What reference models make of every token of packed rows, made with `gristmill run score`."
        return card("score", title, what, facts(run, counts), COLUMNS, "data/*.arrow")

    @staticmethod
    def show(run: dict, counts: Counts, title: str | None) -> None:
        show(title, facts(run, counts))


class Unit(NamedTuple):
    """Rows [begin, end) of a shard, the unit of work."""

    shard: Part
    begin: int
    end: int

    @property
    def rows(self) -> int:
        return self.end - self.begin

    @property
    def span(self) -> Span:
        """Give the places of the shard that it settles: after its last row there is nothing more."""
        return (self.begin, 0), (END if self.end == self.shard.rows else self.end, 0)


def units(shard: Part, rows: int) -> list[Unit]:
    """Cut a shard into units of so many rows."""
    return [Unit(shard, begin, min(begin + rows, shard.rows)) for begin in range(0, shard.rows, rows)]


def require_reference(reference: ReferenceConfig) -> None:
    """Raise BadRequest unless it is said who scores."""
    if bool(reference.models) == bool(reference.openai):
        raise BadRequest(
            "give either reference.models (folders, hub names, artifacts of `reference`) or reference.openai (an endpoint)."
        )
    if reference.openai and not reference.tokenizer:
        raise BadRequest(
            "reference.tokenizer is not given: the endpoint is sent tokens, so name the tokenizer they are of."
        )


def score(
    packed: PackedArtifact, references: list, job: ScoreJob, work: list[Unit], ledger: Ledger, report: Report
) -> None:
    """Stream rows through a pool of actors that hold the references, and commit what they say."""
    import ray.data

    from cluster.resources import model_share

    on_gpus = job.score.device != "cpu" and not job.reference.openai
    copies, share = model_share(job.reference.copies, on_gpus)
    rows = [{"shard": asdict(unit.shard), "begin": unit.begin, "end": unit.end} for unit in work]
    units = ray.data.from_items(rows, override_num_blocks=min(len(rows), 4096))
    units.map_batches(
        ScoreUnits,
        fn_constructor_args=(packed, references, job, ledger, Isolation(report, float("inf"))),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(copies, len(rows))),
        **share,
    ).materialize()


def _here(reference: str | Server, storage: StorageConfig) -> str | Server:
    """Give a reference with its model, or the tokenizer of its rows, on this machine."""
    if isinstance(reference, str):
        return local_model(reference, storage)
    return replace(reference, tokenizer=local_tokenizer(reference.tokenizer, storage))


class ScoreUnits:
    """Score units of work in an actor that holds the references."""

    def __init__(self, packed: PackedArtifact, references: list, job: ScoreJob, ledger: Ledger, isolation: Isolation):
        from operators.score.scorer import Scorer

        self.packed, self.ledger, self.isolation = packed, ledger, isolation
        with isolation.report.explaining():
            self.scorer = Scorer(job.score, [_here(each, job.storage) for each in references])
            self.scorer.check(packed.packing)

    def __call__(self, rows: pa.Table) -> pa.Table:
        with self.isolation.report.explaining():
            for row in rows.to_pylist():
                self._score(Unit(Part(**row["shard"]), row["begin"], row["end"]))
        return pa.table({"units": [len(rows)]})

    def _score(self, unit: Unit) -> None:
        name = f"{unit.shard.checksum}-{unit.begin}"
        if self.ledger.holds(name):
            return
        if not self.ledger.current():
            raise self.ledger.lost()
        with self.isolation.noted(f"score|{name}") as deaths:
            if deaths >= MOST_DEATHS:
                raise StageFailure(
                    f"{deaths} processes died of scoring rows {unit.begin} to {unit.end} of {unit.shard.name}. If memory is "
                    "short, lower score.batch_tokens; the same command goes on."
                )
            try:
                scores = self.scorer(load_table(self.packed.place, unit.shard).slice(unit.begin, unit.rows))
            except NotFinite as error:
                raise StageFailure(f"{error} What is scored so far is committed.") from error
        part = publish_part(self.ledger, table_name(self.ledger, "data", "arrow"), scores)
        counts = {"kept": {"scored": unit.rows}}
        self.ledger.commit(name, Commit([part], {shard_key(unit.shard): [unit.span]}, counts))
        self.isolation.report.add({"settled": {"kept": unit.rows}})


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    window, rows = run["fingerprint"]["packing"]["window"], counts.get("kept", {}).get("scored", 0)
    reference = run["config"]["reference"]
    return [
        ("references", ", ".join(reference["models"]) or reference["openai"]["model"]),
        ("columns", ", ".join(run["fingerprint"]["columns"])),
        ("rows", f"{rows:,} of {window:,} tokens: {rows * window:,} tokens"),
    ]


@dataclass
class ScorePace:
    """Shows tokens and their rate, from the first answer on: loading models is no scoring."""

    began: float = field(default_factory=time.monotonic)
    first: tuple[float, int] | None = None

    def line(self, counts: Counts) -> str:
        read, rows, now = counts["read"], counts.get("settled", {}).get("kept", 0), time.monotonic()
        if rows and not self.first:
            self.first = (now, rows)
        of, window = read.get("of_rows", 0), read.get("window", 0)
        begun, before = self.first if self.first and rows > self.first[1] else (self.began, 0)
        rate = (rows - before) / max(now - begun, 1e-9)
        left = clock((of - rows) / rate) if rate else "-"
        tokens = f"{rows * window:,} of {of * window:,} tokens"
        return f"{clock(now - self.began)}  {tokens} | {rate * window:,.0f} tokens/s | ETA {left}"
