"""Which feature has a column that a selector reads, with the settings of the job."""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from operators.errors import BadRequest
from operators.examples.prompting import Prompting
from operators.select.measure.lengths import COUNTS, LengthsConfig
from operators.select.measure.likelihood import EMBEDDINGS, LikelihoodConfig
from operators.select.measure.rating import rating_prompts
from pipelines.measure.feature import Feature
from pipelines.select.job import SelectJob
from pipelines.stock.models import address_of, local_tokenizer, resolve_model

OF_THE_POOL = re.compile(r"id|record|content|source_file|place|text|record\..*|.*\.reason")
OF_THE_SCORER = re.compile(r"answer_loss|direct_loss|released_.*|weighted_embedding")
NUMBERED = re.compile(r"(.*)_(\d+)")  # a column that several features have, one a model
SCORES = ("complexity", "quality")


class Features:
    """Plans the features of a job: for each column that is read the one that has it.

    `columns` are all that any of its selectors reads, because one pass of the scorer gives all of them that it can. Raises
    BadRequest where a setting that a column needs is missing.
    """

    def __init__(self, job: SelectJob, columns: Iterable[str]):
        self.job, self.columns = job, set(columns)
        self.resolved, self.lengths = cache(self._resolved), cache(self._lengths)

    def of(self, columns: Iterable[str]) -> dict[str, Feature]:
        """Give the features that have some columns, by the names under which a stored pool looks for them.

        Counts of tokens come first: other features have them too, by the scorer's tokenizer and of shorter rows alone.
        """
        measured = [column for column in dict.fromkeys(columns) if not OF_THE_POOL.fullmatch(column)]
        measured.sort(key=lambda column: column not in COUNTS)
        planned = ((column, self._of(column)) for column in measured)
        return {column if NUMBERED.fullmatch(column) else feature.name: feature for column, feature in planned}

    def _of(self, column: str) -> Feature:
        if column in COUNTS:
            return self.lengths()
        if column == "embedding" and self.job.embedding == "sentence":
            return Feature("sentence", "sentence:Sentence", (self.job.sentence, self.job.examples))
        if column == "ngrams":
            return Feature("ngrams", "ngrams:Ngrams", (self.job.ngrams, self.job.examples))
        if column.startswith("digit_logits"):
            return self._rating(column)
        if column in SCORES:
            return self._complexity_quality()
        if OF_THE_SCORER.fullmatch(column) or column in EMBEDDINGS:
            return self._likelihood()
        raise BadRequest(f"nothing measures {column!r}.")

    def _likelihood(self) -> Feature:
        job = self.job
        released = any(column.startswith("released_") for column in self.columns)
        pooled = EMBEDDINGS if job.embedding == "scorer" else EMBEDDINGS[1:]
        config = LikelihoodConfig(embeddings=any(column in pooled for column in self.columns), released=released)
        model, contents = self.resolved("scorer.path", job.scorer.path)
        blocks = (config, replace(job.scorer, path=model), job.prompting, job.examples)
        return Feature("likelihood", "likelihood:Likelihood", blocks, {"model": contents})

    def _rating(self, column: str) -> Feature:
        """Rate rows by the model of that number; without a number by the first, or by the scorer where no rater is named."""
        job, numbered = self.job, NUMBERED.fullmatch(column)
        raters = job.raters or [job.scorer.path]
        number = int(numbered[2]) if numbered else 0
        if number >= len(raters):
            raise BadRequest(
                f"selectit.theta has the sizes of {number + 1} models at the least, and raters names {len(job.raters)}. Name "
                "as many models."
            )
        model, contents = self.resolved("scorer.path", raters[number])
        blocks = (job.rating, replace(job.scorer, path=model), job.examples)
        contents = {"model": contents, "prompts": list(rating_prompts(job.rating.prompts))}
        return Feature("rating", "rating:Rating", blocks, contents)

    def _complexity_quality(self) -> Feature:
        job = self.job
        model, contents = self.resolved("scorer.path", job.scorer.path)
        second, of_second = model, contents
        if job.complexity_quality.quality_model:
            second, of_second = self.resolved("complexity_quality.quality_model", job.complexity_quality.quality_model)
        blocks = (replace(job.complexity_quality, quality_model=second), replace(job.scorer, path=model), job.examples)
        operator = "complexity_quality:ComplexityQuality"
        return Feature("complexity_quality", operator, blocks, {"model": contents, "quality model": of_second})

    def _lengths(self) -> Feature:
        """Count tokens by the tokenizer that is named, else by that of the scorer, of rows that are too long for it too."""
        job = self.job
        if not (named := job.lengths.tokenizer or job.scorer.path):
            raise BadRequest(
                "tokens are counted here, and nothing says by which tokenizer. Give lengths.tokenizer (a model folder, "
                "local or s3://, a tokenizer.json, or a hub name) or scorer.path."
            )
        tokenizer, prompting = address_of(named, job.storage), replace(job.prompting, max_tokens=None)
        deciding = Prompting(prompting, local_tokenizer(tokenizer, job.storage)).deciding
        blocks = (LengthsConfig(tokenizer), prompting, job.examples)
        return Feature("lengths", "lengths:Lengths", blocks, deciding)

    def _resolved(self, setting: str, model: str | None) -> tuple[str, str | None]:
        if not model:
            raise BadRequest(f"{setting} is not given: the model that measures rows, a folder or a name on the hub.")
        return resolve_model(model, self.job.storage)
