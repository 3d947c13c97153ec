from importlib import import_module
from inspect import signature

import pyarrow as pa
import pytest

from operators.errors import BadRequest
from pipelines.config import compose
from pipelines.measure.feature import MEASURES
from pipelines.select.features.base import FeatureEntry, FeatureRequest
from pipelines.select.features.planner import Features
from pipelines.select.features.table import FEATURES
from pipelines.select.job import SelectJob
from pipelines.settings import describe
from tests.tiny_model import make_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("features") / "model")


def job_of(model, *words: str) -> SelectJob:
    return compose(SelectJob, None, [f"scorer.path={model}", *words])


@pytest.mark.parametrize("name", FEATURES)
def test_each_column_is_planned_with_the_blocks_that_its_operator_is_made_of(name, model):
    entry = FEATURES[name]
    for column in entry.columns:
        (feature,) = Features(job_of(model), [column]).of([column]).values()
        module, _, operator = feature.operator.partition(":")
        made_of = signature(getattr(import_module(f"{MEASURES}.{module}"), operator)).parameters.values()
        assert [type(block) for block in feature.blocks] == [argument.annotation for argument in made_of]
        assert column in FEATURES[feature.name].columns


@pytest.mark.parametrize("name", FEATURES)
def test_an_operator_gives_the_columns_that_are_named(name, model):
    job, columns = (
        job_of(model, f"embedding={'scorer' if name == 'likelihood' else 'sentence'}"),
        FEATURES[name].columns,
    )
    operator = Features(job, columns).of(columns)[name].build(job.storage)
    measured = operator(pa.table({"id": ["a"], "record": ['{"instruction": "Mill?", "output": "By the river."}']}))
    assert set(measured.column_names) == {"id", "reason", *columns}


def test_tokens_are_those_of_the_tokenizer_that_is_named_for_every_selector(model):
    job = job_of(model, f"lengths.tokenizer={model}")
    columns = ["answer_loss", "tokens"]
    assert list(Features(job, columns).of(columns)) == ["lengths", "likelihood"]  # the first that has a column is read


def test_who_embeds_is_a_setting(model):
    of = {
        who: Features(job_of(model, f"embedding={who}"), ["embedding"]).of(["embedding"])
        for who in ("sentence", "scorer")
    }
    assert list(of["sentence"]) == ["sentence"] and list(of["scorer"]) == ["likelihood"]
    assert of["scorer"]["likelihood"].blocks[0].embeddings


def test_one_pass_of_the_scorer_gives_all_that_any_selector_reads(model):
    features = Features(job_of(model), ["answer_loss", "weighted_embedding", "released_answer_loss"])
    config = features.of(["answer_loss"])["likelihood"].blocks[0]
    assert (config.embeddings, config.released) == (True, True)
    alone = Features(job_of(model), ["answer_loss", "embedding"]).of(["answer_loss"])["likelihood"].blocks[0]
    assert (alone.embeddings, alone.released) == (False, False)


def test_a_number_names_a_rater(model):
    job = job_of(model, f"raters=[{model},{model}]")
    columns = ["digit_logits_0", "digit_logits_1", "digit_logits_1.reason"]
    assert list(Features(job, columns).of(columns)) == columns[:2]
    with pytest.raises(BadRequest, match="3 models at the least, and raters names 2"):
        Features(job, columns).of(["digit_logits_2"])


def test_what_nothing_measures_is_told(model):
    with pytest.raises(BadRequest, match="nothing measures 'warmth'"):
        Features(job_of(model), []).of(["warmth"])


def test_a_feature_whose_settings_say_all_needs_no_more_than_its_entry(model):
    job = job_of(model, "prompting.template=plain")
    entry = FeatureEntry("rating:Rating", ("warmth",), made_of=("prompting", "scorer", "examples"))
    feature = entry.feature("warmth", FeatureRequest(job, ["warmth"]), None)
    assert feature.blocks == (job.prompting, job.scorer, job.examples) and list(feature.contents) == ["model"]


def test_settings_of_features_are_settings_of_the_job():
    keys = {setting.key.partition(".")[0] for setting in describe(SelectJob)}
    assert {name for entry in FEATURES.values() for name in entry.settings} <= keys
