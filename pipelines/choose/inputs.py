"""What a selector is handed beside the pool: a target set, scores of another selector, and what stages before the choice made."""

import json
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from operators.select.selectors.picking.columns import scores_of
from operators.select.selectors.picking.ranking import GumbelConfig
from pipelines.choose.job import ChooseJob
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView, StoredPool
from pipelines.settings import identity

POSITIONS = ("labelled", "positions")  # what is given under these names are positions in the whole pool


@dataclass(frozen=True)
class SelectorInputs:
    """What a selector is given of that which it may ask for (operators/select/selectors/base.py:ASKS): `target`, a target set;
    `by`, the selector whose scores it chooses by; and plain values by their names.
    """

    target: PoolView | None = None
    by: SelectorSpec | None = None
    plain: dict[str, Any] = field(default_factory=dict)

    @property
    def deciding(self) -> dict[str, Any]:
        """Give what decides the choice, as plain values."""
        by = self.by and [self.by.name, identity(self.by.block)]
        plain = blake2b(json.dumps(self.plain, sort_keys=True).encode(), digest_size=16).hexdigest()
        return {"target": self.target and self.target.key, "by": by, "given": plain}

    def reads(self, spec: SelectorSpec) -> list[str]:
        """Name the columns that are read of the pool."""
        readers = [spec, self.by] if self.by else [spec]
        stand_ins = {"scores": scores_of, "gumbel": GumbelConfig()}  # only what they read is asked of these
        return list(dict.fromkeys(name for reader in readers for name in reader.build(stand_ins | self.plain).reads))

    def values(self, job: ChooseJob, pool: StoredPool, scratch: Path) -> dict[str, Any]:
        """Give it by the names that selectors ask by; positions become those that are seen of the pool."""
        values = {"gumbel": job.gumbel} | self.plain
        values |= {name: pool.seen_at(values[name]) for name in POSITIONS if name in values}
        if self.target:
            values["target"] = self.target.stored(job.examples, scratch / "target")
        if self.by:
            values["scores"] = partial(scores_of, self.by.build(values))
        return values
