"""The features that selectors may read. To add one, write operators/select/measure/NAME.py and an entry here.

`gristmill run select` takes its settings, and what measures a column, from the entry. Where several have a column, the first is
read; who embeds rows is a setting.
"""

from dataclasses import field, is_dataclass
from typing import Any

from operators.select.measure import complexity_quality, lengths, likelihood, ngrams, rating, sentence
from operators.select.measure.base import ModelConfig
from operators.settings import setting
from pipelines.select.features import plans
from pipelines.select.features.base import SCORER, FeatureEntry

FEATURES = {
    "lengths": FeatureEntry(
        "lengths:Lengths", lengths.COLUMNS, settings={"lengths": lengths.LengthsConfig}, plan=plans.lengths
    ),
    "likelihood": FeatureEntry(
        "likelihood:Likelihood",
        likelihood.COLUMNS,
        settings={
            SCORER: ModelConfig,
            "embedding": (
                str,
                setting("sentence", "who embeds rows: sentence (a sentence encoder) or scorer (its hidden states)"),
            ),
        },
        plan=plans.likelihood,
    ),
    "sentence": FeatureEntry(
        "sentence:Sentence", sentence.COLUMNS, ("sentence", "examples"), {"sentence": sentence.SentenceConfig}
    ),
    "rating": FeatureEntry(
        "rating:Rating",
        rating.COLUMNS,
        settings={
            "raters": (
                list[str],
                setting([], "models that rate rows, for selectit; none: the scorer. Several for selectit.level=model"),
            ),
            "rating": rating.RatingConfig,
        },
        plan=plans.rating,
    ),
    "complexity_quality": FeatureEntry(
        "complexity_quality:ComplexityQuality",
        complexity_quality.COLUMNS,
        settings={"complexity_quality": complexity_quality.ComplexityQualityConfig},
        plan=plans.complexity_quality,
    ),
    "ngrams": FeatureEntry("ngrams:Ngrams", ngrams.COLUMNS, ("ngrams", "examples"), {"ngrams": ngrams.NgramsConfig}),
}
EMBEDDERS = {"sentence": "sentence", "scorer": "likelihood"}  # features with embeddings, by what the setting may be


def feature_settings() -> list[tuple[str, Any, Any]]:
    """Give the settings that a job has for the sake of features, as fields of a dataclass: name, type, default."""
    given = {name: each for entry in FEATURES.values() for name, each in entry.settings.items()}
    blocks = {name: (each, field(default_factory=each)) for name, each in given.items() if is_dataclass(each)}
    return [(name, *blocks.get(name, each)) for name, each in given.items()]
