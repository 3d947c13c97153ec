"""Let one selector choose from a pool: pool and features -> selector -> the chosen rows, in the order of the picks."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.examples import ExampleConfig
from operators.selectors.base import Budget, BudgetConfig, Choice
from operators.selectors.columns import scores_of
from operators.selectors.ranking import GumbelConfig
from operators.settings import setting
from operators.storage.filesystem import Place, StorageConfig
from pipelines.artifacts import finished, load, load_table, parts_in_order
from pipelines.chosen import chosen_rows
from pipelines.config import identity
from pipelines.counts import Counts, add_counts
from pipelines.ledger import Ledger, publish_file, publish_part, table_name
from pipelines.measure import FeatureArtifact
from pipelines.naming import Named, build
from pipelines.order import WHOLE, Spans
from pipelines.pipeline import Output, Pipeline, described, digest, output_place
from pipelines.pool import PoolArtifact
from pipelines.progress import Report, clock
from pipelines.records import Commit, Part, State
from pipelines.stored_pool import StoredPool, whole
from pipelines.telling import card, show, words_of

CHOICE = "choice:0-1"  # the one unit of work
TOLD = "choice.json"  # what the selector told: who could not be chosen, and its notes
POSITIONS = ("labelled", "positions")  # what is given under these names are positions in the whole pool
EQUAL_CONTENT, UNCOUNTED = "equal_content", "no_tokens"  # why no selector may choose a row
COLUMNS = (
    "`pick` counts the rows in the order in which they were chosen, `score` is the selector's own; `messages` or `text` are for "
    "training, `record` is the row as it was read."
)


@dataclass(frozen=True)
class Seen:
    """A pool with its features, as they are handed to workers."""

    pool: PoolArtifact
    features: Mapping[str, FeatureArtifact]

    def stored(self, examples: ExampleConfig, scratch: Path, kept: np.ndarray | None = None) -> StoredPool:
        """Open it for a selector; matrices go into files of `scratch`."""
        scratch.mkdir()
        return StoredPool(self.pool, self.features, examples, scratch, kept)

    @property
    def key(self) -> list[str]:
        return [self.pool.key, *(artifact.key for artifact in self.features.values())]


@dataclass(frozen=True)
class Given:
    """What a selector may ask for beside its block: a target set, the scores of another selector, and plain values."""

    target: Seen | None = None
    by: Named | None = None
    plain: dict[str, Any] = field(default_factory=dict)

    @property
    def deciding(self) -> dict[str, Any]:
        """Give what decides the choice, as plain values."""
        by = self.by and [self.by.name, identity(self.by.block)]
        plain = blake2b(json.dumps(self.plain, sort_keys=True).encode(), digest_size=16).hexdigest()
        return {"target": self.target and self.target.key, "by": by, "given": plain}

    def reads(self, selector: Named) -> list[str]:
        """Name the columns that are read of the pool."""
        readers = [selector, self.by] if self.by else [selector]
        given = {"scores": scores_of, "gumbel": GumbelConfig()} | self.plain  # only what they read is asked of these
        return list(dict.fromkeys(name for reader in readers for name in build(reader, given).reads))

    def values(self, job: "ChooseJob", pool: StoredPool, scratch: Path) -> dict[str, Any]:
        """Give it by the names of the constructors' arguments; positions become those that are seen of the pool."""
        values = {"gumbel": job.gumbel} | self.plain
        values |= {name: pool.seen_at(values[name]) for name in POSITIONS if name in values}
        if self.target:
            values["target"] = self.target.stored(job.examples, scratch / "target")
        if self.by:
            values["scores"] = partial(scores_of, build(self.by, values))
        return values


@dataclass
class ChooseJob:
    """What decides a choice. `selector` is written as in `selectors`, `settings` is its block."""

    selector: str = setting("", "the selector, with what differs from its block")
    settings: Any = setting(None, "the block of the selector")
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    gumbel: GumbelConfig = field(default_factory=GumbelConfig)
    distinct: bool = setting(False, "whether of rows with equal content only the earliest may be chosen")
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    output: Output = field(default_factory=Output)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


class ChooseRows(Pipeline):
    """Let `selector` choose from what is `seen`, with all else it asks for (see Given).

    Without output.path the artifact stands in `folder`, named by what decides it.
    """

    def __init__(self, job: ChooseJob, selector: Named, seen: Seen, given: Given, folder: str | None = None):
        self.job, self.selector, self.seen, self.given, self.cluster = job, selector, seen, given, job.cluster
        self.run = described("choose", job, {"pool": seen.key} | given.deciding, {}, [CHOICE])
        name = f"{folder}/choice-{selector.label}-{digest(self.run)}"
        self.place = output_place(job.output.path or name, job.storage, "")

    def left(self, state: State) -> list[str]:
        return [] if state.done.get(CHOICE, Spans()).complete else [CHOICE]

    def pace(self) -> "ChoosePace":
        return ChoosePace(self.job.selector, self.seen.pool.rows)

    def stream(self, work: list[str], ledger: Ledger, report: Report) -> None:
        import ray

        from cluster.resources import whole_node_cpus

        task = ray.remote(choose).options(num_cpus=whole_node_cpus(1), max_retries=1)
        ray.get(task.remote(self.job, self.selector, self.seen, self.given, ledger, report))

    @staticmethod
    def card(run: dict, counts: Counts, title: str) -> str:
        what = f"Rows chosen by {run['config']['selector']}, made with `gristmill run select`."
        return card("selection", title, what, facts(run, counts), COLUMNS, "data/*.parquet")

    @staticmethod
    def show(run: dict, counts: Counts, title: str | None) -> None:
        show(title, facts(run, counts))


def choose(job: ChooseJob, selector: Named, seen: Seen, given: Given, ledger: Ledger, report: Report) -> None:
    """Have the selector choose, and commit the rows. One task, which may use all processors of a node."""
    with report.explaining(), tempfile.TemporaryDirectory(prefix="gristmill-choose-") as folder:
        if not ledger.current():
            raise ledger.lost()
        everything = seen.stored(job.examples, Path(folder, "everything"))
        kept, left_out = eligible(everything, job)
        pool = seen.stored(job.examples, Path(folder, "pool"), kept)
        tokens_N = whole(pool, "tokens").to_numpy() if job.budget.tokens is not None else None
        try:
            choice = build(selector, given.values(job, pool, Path(folder)))(pool, Budget(job.budget, tokens_N))
        except BadRequest as error:
            raise BadRequest(f"{selector.label}: {error}") from error
        reads = [*given.reads(selector), *(["tokens"] if tokens_N is not None else [])]
        beside = _beside(pool, choice, reads)
        excluded = add_counts(left_out, choice.excluded)
        told = {"excluded": excluded, "notes": choice.notes, "eligible": seen.pool.rows - sum(excluded.values())}
        positions = pool.positions(choice.positions)
        parts = [
            publish_part(ledger, table_name(ledger, "data", "parquet"), rows)
            for rows in chosen_rows(seen.pool, job.examples, positions, beside, Path(folder))
        ]
        parts.append(publish_file(ledger, TOLD, json.dumps(told, indent=1).encode()))
        counts = {"kept": {"chosen": len(positions)}, "excluded": excluded}
        ledger.commit("choice-0", Commit(parts, {CHOICE: [WHOLE]}, counts))


def eligible(pool: StoredPool, job: ChooseJob) -> tuple[np.ndarray | None, dict[str, int]]:
    """Give the positions of the rows that any selector may choose (int64, sorted; None: all), and count the others by reason.

    With `distinct` these are the earliest of equal content; where tokens are the budget, those whose tokens are known.
    """
    may_N, left_out = np.ones(pool.rows, dtype=bool), {}
    if job.budget.tokens is not None:
        may_N = whole(pool, "tokens").is_valid().to_numpy(zero_copy_only=False)
        left_out[UNCOUNTED] = int(np.count_nonzero(~may_N))
    kept = np.flatnonzero(may_N)
    if job.distinct:
        contents = whole(pool, "content").to_numpy()[kept]
        first = np.sort(np.unique(contents, return_index=True)[1])
        left_out[EQUAL_CONTENT] = len(kept) - len(first)
        kept = kept[first]
    return (kept if left_out else None), {reason: rows for reason, rows in left_out.items() if rows}


def _beside(pool: StoredPool, choice: Choice, reads: Sequence[str]) -> dict[str, pa.Array]:
    """Give the scores of the picks, and what the selector read or made of them, where that is numbers."""
    scores = np.full(len(choice.positions), np.nan) if choice.scores is None else choice.scores
    columns = {"score": pa.array(scores, pa.float64(), from_pandas=True)}
    made = {name: pa.array(values_N[choice.positions]) for name, values_N in choice.notes.pop("columns", {}).items()}
    return columns | _numbers(pool, choice.positions, reads) | made


def _numbers(pool: StoredPool, positions: np.ndarray, reads: Sequence[str]) -> dict[str, pa.Array]:
    """Give the columns of numbers among some, at some positions."""
    first = next(pool.columns(*reads), None) if reads else None
    names = [name for name in reads if first is not None and _is_number(first[name].type)]
    if not names:
        return {}
    order = np.argsort(positions, kind="stable")
    begin, parts = 0, []
    for table in pool.columns(*names):
        first, last = np.searchsorted(positions[order], [begin, begin + len(table)])
        parts.append(table.take(pa.array(positions[order][first:last] - begin)))
        begin += len(table)
    back = pa.array(np.argsort(order, kind="stable"))
    return {name: pa.concat_tables(parts)[name].combine_chunks().take(back) for name in names}


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


@dataclass(frozen=True)
class ChoiceArtifact:
    """A finished choice: its rows in parts, in the order of the picks, and what the selector told: excluded, notes, eligible."""

    place: Place
    parts: list[Part]
    told: dict[str, Any]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def tables(self) -> Iterator[pa.Table]:
        """Read the rows, a part at a time."""
        return (load_table(self.place, part) for part in self.parts)

    @property
    def positions(self) -> np.ndarray:
        """Give the positions of the picks in the pool: int64."""
        return np.concatenate([np.empty(0, np.int64), *(table["position"].to_numpy() for table in self.tables())])


def open_choice(place: Place) -> ChoiceArtifact:
    """Open a choice. Raises BadRequest where it is not finished."""
    place, records = finished(place.url, place.storage, "choice", "choose")
    (told,) = (part for commit in records.commits(place) for part in commit.parts if part.name == TOLD)
    return ChoiceArtifact(place, parts_in_order(place, records), json.loads(load(place, told)))


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    return [
        ("selector", run["config"]["selector"]),
        ("chosen", f"{counts.get('kept', {}).get('chosen', 0):,} rows"),
        ("could not be chosen", words_of(counts.get("excluded", {}))),
    ]


@dataclass
class ChoosePace:
    """Shows that a selector is at work; only it knows how far it is."""

    selector: str
    rows: int
    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        return f"{clock(time.monotonic() - self.began)}  {self.selector} chooses from {self.rows:,} rows"
