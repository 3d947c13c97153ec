"""What every rule of the table keeps."""

import pytest

from operators.errors import BadRequest
from operators.rewrite.clean import OPTIONS, PRESETS, CleanConfig
from operators.rewrite.prompts import load_prompt
from operators.rewrite.rules import DROPS, REPAIRS, RULES
from operators.rewrite.rules.base import AnalysedText, JudgedRewrite

SHARES = [(name, option) for name, option in OPTIONS.items() if option.type is float]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_a_setting_and_stands_in_the_presets_that_say_so(name):
    rule = RULES[name]
    assert CleanConfig.__dataclass_fields__[name].metadata["doc"] == rule.doc != ""
    assert set(rule.presets) <= set(PRESETS) and "strict" in rule.presets  # the line of the preset says all


@pytest.mark.parametrize("name", REPAIRS)
def test_a_repair_leaves_a_plain_text_alone(name):
    plain = "The port was built in 1190."
    assert REPAIRS[name].make(CleanConfig())(plain, "Monks built the port in 1190.") == plain


@pytest.mark.parametrize("name", DROPS)
def test_a_drop_is_made_of_the_settings_and_judges(name):
    words = [f"word{place}" for place in range(200)]
    written, source = AnalysedText(" ".join(words)), AnalysedText(" ".join(reversed(words)))
    judge = DROPS[name].make(CleanConfig())
    assert judge(JudgedRewrite(written, written, source, load_prompt("medium"), 200, "stop", (None, None))) is None


@pytest.mark.parametrize(("name", "option"), SHARES, ids=[name for name, _ in SHARES])
def test_a_share_is_a_setting_whose_impossible_values_are_refused(name, option):
    assert getattr(CleanConfig(), name) == option.default
    with pytest.raises(BadRequest, match=rf"clean\.{name} .* got -1"):
        CleanConfig(**{name: -1.0})
    assert sum(name in rule.options for rule in RULES.values()) == 1
