"""The students of a comparison."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.compare.job import RANDOM, CompareJob
from pipelines.select.pipeline import Select


@dataclass(frozen=True)
class Trial:
    """One student: the label of the choice that it learns, the selector as the comparison names it, and its seed."""

    label: str
    selector: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.label}-student-{self.seed}"

    @property
    def split(self) -> str:
        return f"{self.name}:0-1"


def trials_of(job: CompareJob, select: Select) -> Iterator[Trial]:
    """List the students: one for each random choice, with a seed of its own, and some for each of the others."""
    for number, spec in enumerate(select.specs):
        if number < job.random_seeds:
            yield Trial(spec.label, RANDOM, number)
        else:
            yield from (Trial(spec.label, spec.label, seed) for seed in range(job.student_seeds))
