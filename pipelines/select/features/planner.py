"""Which features a job measures: for each column that its selectors read the one that has it."""

from collections.abc import Iterable
from typing import Any

from operators.errors import BadRequest
from operators.select.measure.base import EMBEDDING
from operators.select.measure.lengths import COUNTS
from pipelines.choose.view import is_measured, numbered
from pipelines.measure.feature import Feature
from pipelines.select.features.base import FeatureRequest
from pipelines.select.features.table import EMBEDDERS, FEATURES


class Features:
    """Plans the features of a job (a SelectJob). `columns` are all that any of its selectors reads.

    Raises BadRequest where a setting that a column needs is missing.
    """

    def __init__(self, job: Any, columns: Iterable[str]):
        self.request = FeatureRequest(job, columns)
        self._planned: dict[tuple[str, int | None], Feature] = {}

    def of(self, columns: Iterable[str]) -> dict[str, Feature]:
        """Give the features that have some columns, by the names under which a view of the pool looks for them.

        Counts of tokens come first: other features have them too, by the scorer's tokenizer and of shorter rows alone.
        """
        measured = sorted(filter(is_measured, dict.fromkeys(columns)), key=lambda column: column not in COUNTS)
        planned = ((column, self._of(column)) for column in measured)
        return {feature.name if numbered(column)[1] is None else column: feature for column, feature in planned}

    def _of(self, column: str) -> Feature:
        name, number = numbered(column)
        key = (self._feature_with(name), number)
        if key not in self._planned:
            self._planned[key] = FEATURES[key[0]].feature(key[0], self.request, number)
        return self._planned[key]

    def _feature_with(self, column: str) -> str:
        if column == EMBEDDING:
            return EMBEDDERS[self.request.job.embedding]
        for name, entry in FEATURES.items():
            if column in entry.columns:
                return name
        raise BadRequest(f"nothing measures {column!r}.")
