"""The plain case: measure what a selector reads, of the target set where it asks for one, and of the pool."""

from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.pool.artifact import PoolArtifact
from pipelines.select.job import SelectJob
from pipelines.select.measuring import Measuring, scored_by
from pipelines.select.prepare.base import Staged


class PrepareMeasured:
    """Keeps pipelines/select/prepare/base.py:Preparation."""

    def __init__(self, job: SelectJob, spec: SelectorSpec, measuring: Measuring):
        self.job, self.spec, self.measuring = job, spec, measuring
        self.needs_target = "target" in spec.asks

    def check(self) -> None:
        """Nothing but what it reads is needed, and that is planned."""

    def stages(self, pool: PoolArtifact, target: PoolArtifact | None) -> Staged[tuple[PoolView, SelectorInputs]]:
        aim = (yield from self.measuring.of(target, self.spec)) if self.needs_target else None
        view = yield from self.measuring.of(pool, self.spec)
        return view, SelectorInputs(aim, scored_by(self.spec, self.job))
