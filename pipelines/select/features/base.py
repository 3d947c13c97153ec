"""What is said of a feature, and for what it is planned."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from operators.errors import BadRequest
from operators.select.measure.base import ModelConfig
from pipelines.measure.feature import Feature
from pipelines.stock.models import resolve_model

SCORER = "scorer"  # the setting with the model that measures rows
# The blocks that an operator is made of, and what changes with the models that they name.
Plan = tuple[tuple[Any, ...], dict[str, Any]]


class FeatureRequest:
    """For what features are planned. `job` has the settings: a SelectJob, which takes those of features from the table. `columns`
    are all that any of its selectors reads, because one pass of a model gives all of them that it can.
    """

    def __init__(self, job: Any, columns: Iterable[str]):
        self.job, self.columns = job, frozenset(columns)
        self._models: dict[str, tuple[str, str | None]] = {}

    def scorer(self) -> tuple[ModelConfig, str | None]:
        """Give the scorer with the address of its model, and what its contents are known by."""
        model, contents = self.model("scorer.path", self.job.scorer.path)
        return replace(self.job.scorer, path=model), contents

    def model(self, setting: str, model: str | None) -> tuple[str, str | None]:
        """Give the address and the contents of a model. Raises BadRequest where the setting names none."""
        if not model:
            raise BadRequest(f"{setting} is not given: the model that measures rows, a folder or a name on the hub.")
        if model not in self._models:
            self._models[model] = resolve_model(model, self.job.storage)
        return self._models[model]


@dataclass(frozen=True)
class FeatureEntry:
    """A feature: who measures it, which columns it gives, and of which settings of the job it is made.

    `operator` is MODULE:CLASS in operators/select/measure, `made_of` the names of settings in the order of its constructor;
    `scorer` among them is given with its model. `settings` are those that the job has for the sake of this feature: the
    class of a block by its name, or a type and a `setting`. Where more decides than settings, `plan` says of what it is made:
    it is given the number of the column's model too, None for a column without a number.
    """

    operator: str
    columns: tuple[str, ...]
    made_of: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    plan: Callable[[FeatureRequest, int | None], Plan] | None = None

    def feature(self, name: str, request: FeatureRequest, number: int | None) -> Feature:
        """Plan the feature. Raises BadRequest where a setting is missing."""
        blocks, contents = self.plan(request, number) if self.plan else self._of_settings(request)
        return Feature(name, self.operator, blocks, contents)

    def _of_settings(self, request: FeatureRequest) -> Plan:
        blocks = {name: getattr(request.job, name) for name in self.made_of}
        if SCORER not in blocks:
            return tuple(blocks.values()), {}
        blocks[SCORER], contents = request.scorer()
        return tuple(blocks.values()), {"model": contents}
