"""Features of which more decides than their settings: the columns that are read, several models, a tokenizer."""

from dataclasses import replace

from operators.errors import BadRequest
from operators.examples.prompting import Prompting
from operators.select.measure.complexity_quality import prompts as complexity_quality_prompts
from operators.select.measure.lengths import LengthsConfig
from operators.select.measure.likelihood import EMBEDDINGS, LikelihoodConfig
from operators.select.measure.rating import rating_prompts
from operators.select.measure.reading.released import COLUMNS as RELEASED
from pipelines.select.features.base import FeatureRequest, Plan
from pipelines.stock.models import address_of, local_tokenizer


def lengths(request: FeatureRequest, number: int | None) -> Plan:
    """Count tokens by the tokenizer that is named, else by that of the scorer, of rows that are too long for it too."""
    job = request.job
    if not (named := job.lengths.tokenizer or job.scorer.path):
        raise BadRequest(
            "tokens are counted here, and nothing says by which tokenizer. Give lengths.tokenizer (a model folder, "
            "local or s3://, a tokenizer.json, or a hub name) or scorer.path."
        )
    tokenizer, prompting = address_of(named, job.storage), replace(job.prompting, max_tokens=None)
    deciding = Prompting(prompting, local_tokenizer(tokenizer, job.storage)).deciding
    return (LengthsConfig(tokenizer), prompting, job.examples), deciding


def likelihood(request: FeatureRequest, number: int | None) -> Plan:
    """Let the scorer read the rows once, for all of its columns that any selector reads."""
    pooled = EMBEDDINGS if request.job.embedding == "scorer" else EMBEDDINGS[1:]
    config = LikelihoodConfig(
        embeddings=not request.columns.isdisjoint(pooled), released=not request.columns.isdisjoint(RELEASED)
    )
    scorer, contents = request.scorer()
    return (config, scorer, request.job.prompting, request.job.examples), {"model": contents}


def rating(request: FeatureRequest, number: int | None) -> Plan:
    """Rate rows by the model of a number; without a number by the first, or by the scorer where no rater is named."""
    job, number = request.job, number or 0
    raters = job.raters or [job.scorer.path]
    if number >= len(raters):
        raise BadRequest(
            f"selectit.theta has the sizes of {number + 1} models at the least, and raters names {len(job.raters)}. Name "
            "as many models."
        )
    model, contents = request.model("scorer.path", raters[number])
    blocks = (job.rating, replace(job.scorer, path=model), job.examples)
    return blocks, {"model": contents, "prompts": list(rating_prompts(job.rating.prompts))}


def complexity_quality(request: FeatureRequest, number: int | None) -> Plan:
    """Score questions by the scorer, and answers by it too or by a model of their own."""
    job = request.job
    scorer, contents = request.scorer()
    second, of_second = scorer.path, contents
    if job.complexity_quality.quality_model:
        second, of_second = request.model("complexity_quality.quality_model", job.complexity_quality.quality_model)
    blocks = (replace(job.complexity_quality, quality_model=second), scorer, job.examples)
    asked = list(complexity_quality_prompts(job.complexity_quality))
    return blocks, {"model": contents, "quality model": of_second, "prompts": asked}
