"""What a selector is handed: the pool with its features, and what else it asks for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from operators.examples.base import ExampleConfig
from operators.select.selectors.picking.columns import scores_of
from operators.select.selectors.picking.ranking import GumbelConfig
from pipelines.choose.job import ChooseJob
from pipelines.choose.spec import Named, build
from pipelines.choose.view import StoredPool
from pipelines.config import identity
from pipelines.measure.artifact import FeatureArtifact
from pipelines.pool.artifact import PoolArtifact

POSITIONS = ("labelled", "positions")  # what is given under these names are positions in the whole pool


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
