"""The plain case: measure what a selector reads, of the target set where it asks for one, and of the pool."""

from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.run.stage import Made, Stage
from pipelines.select.job import SelectJob
from pipelines.select.measuring import POOL, TARGET, Measuring, scored_by


class PrepareMeasured:
    """Keeps pipelines/select/prepare/base.py:Preparation."""

    def __init__(self, job: SelectJob, spec: SelectorSpec, measuring: Measuring):
        self.job, self.spec, self.measuring = job, spec, measuring
        self.needs_target = "target" in spec.asks

    def check(self) -> None:
        """Nothing but what it reads is needed, and that is planned."""

    def stages(self) -> list[Stage]:
        read = [POOL, TARGET] if self.needs_target else [POOL]
        return [stage for of in read for stage in self.measuring.stages(self.spec, of)]

    @property
    def after(self) -> list[str]:
        return [POOL, *([TARGET] if self.needs_target else []), *(stage.name for stage in self.stages())]

    def inputs(self, made: Made) -> tuple[PoolView, SelectorInputs]:
        aim = self.measuring.view(made, self.spec, TARGET) if self.needs_target else None
        return self.measuring.view(made, self.spec), SelectorInputs(aim, scored_by(self.spec, self.job))
