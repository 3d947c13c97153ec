"""What every rule of the table keeps."""

import pytest

from operators.errors import BadRequest
from operators.rewrite.clean import PRESETS, CleanConfig
from operators.rewrite.prompts import load_prompt
from operators.rewrite.rules import DROPS, REPAIRS, RULES
from operators.rewrite.rules.base import AnalysedText, JudgedRewrite

THRESHOLDS = [(name, threshold) for drop in DROPS.values() for name, threshold in drop.thresholds.items()]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_a_setting_and_stands_in_the_presets_that_say_so(name):
    rule = RULES[name]
    assert CleanConfig.__dataclass_fields__[name].metadata["doc"] == rule.doc != ""
    assert set(rule.presets) <= set(PRESETS) and "strict" in rule.presets  # the line of the preset says all


@pytest.mark.parametrize("name", REPAIRS)
def test_a_repair_leaves_a_plain_text_alone(name):
    assert (
        REPAIRS[name].cut("The port was built in 1190.", "Monks built the port in 1190.")
        == "The port was built in 1190."
    )


@pytest.mark.parametrize("name", DROPS)
def test_a_drop_is_made_of_the_settings_and_judges(name):
    words = [f"word{place}" for place in range(200)]
    written, source = AnalysedText(" ".join(words)), AnalysedText(" ".join(reversed(words)))
    judge = DROPS[name].make(CleanConfig())
    assert judge(JudgedRewrite(written, source, load_prompt("medium"), 200, "stop", (None, None))) is None


@pytest.mark.parametrize(("name", "threshold"), THRESHOLDS, ids=[name for name, _ in THRESHOLDS])
def test_a_threshold_is_a_setting_whose_impossible_values_are_refused(name, threshold):
    assert getattr(CleanConfig(), name) == threshold.default
    with pytest.raises(BadRequest, match=rf"clean\.{name} .* got -1"):
        CleanConfig(**{name: -1.0})
    assert [other for other, _ in THRESHOLDS].count(name) == 1
