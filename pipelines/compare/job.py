"""What `gristmill run compare` can be told."""

from dataclasses import dataclass, field, fields, replace

from operators.errors import BadRequest
from operators.select.evaluate.base import EvaluateConfig
from operators.settings import setting
from operators.storage.config import InputConfig
from pipelines.run.output import Output
from pipelines.select.job import SelectJob, records

RANDOM, LEAST_RANDOM = "random", 2


@dataclass
class CompareJob(SelectJob):
    """Everything `gristmill run compare` can be told."""

    evaluation: InputConfig = field(default_factory=records)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    random_seeds: int = setting(5, "random choices, each with a student: their spread is the error bar")
    student_seeds: int = setting(
        1, "students for each choice of the other selectors, each trained with a seed of its own"
    )

    def __post_init__(self):
        super().__post_init__()
        if self.random_seeds < LEAST_RANDOM:
            raise BadRequest(
                f"random_seeds is a number from {LEAST_RANDOM}, got {self.random_seeds}. A spread needs several."
            )
        if self.student_seeds < 1:
            raise BadRequest(f"student_seeds is a number from 1, got {self.student_seeds}.")


def select_job(job: CompareJob, folder: str) -> SelectJob:
    """Give the selection: random at several seeds, then the others. Raises BadRequest where nobody is compared."""
    others = [text for text in job.selectors if text != RANDOM]
    if not others:
        raise BadRequest("selectors names nobody to compare with random. `gristmill list` names them all.")
    settings = {each.name: getattr(job, each.name) for each in fields(SelectJob)}
    seeds = [f"{RANDOM}:seed={job.random.seed + seed}" for seed in range(job.random_seeds)]
    settings |= {"selectors": [*seeds, *others], "output": Output(), "features": replace(job.features, path=folder)}
    return SelectJob(**settings)
