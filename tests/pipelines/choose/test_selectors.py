"""Every selector of the table keeps the contract, so that a new one needs nothing but its file and its line there."""

from dataclasses import fields, is_dataclass
from inspect import signature

import pytest

from operators.select.selectors.base import ASKS
from operators.select.selectors.picking.columns import scores_of
from operators.select.selectors.picking.ranking import GumbelConfig
from pipelines.choose.selectors import SELECTORS
from pipelines.choose.spec import spec_of
from pipelines.select.job import SelectJob


@pytest.mark.parametrize("name", SELECTORS)
def test_a_selector_is_made_of_its_block_and_of_what_it_asks_for(name):
    selector = SELECTORS[name].selector_class()
    assert list(signature(selector).parameters)[1:] == list(selector.asks)
    assert set(selector.asks) <= set(ASKS)
    assert "scores" not in selector.asks or "by" in {field.name for field in fields(selector.Config)}


@pytest.mark.parametrize("name", SELECTORS)
def test_every_setting_of_a_selector_has_a_line(name):
    selector, block = SELECTORS[name].selector_class(), SELECTORS[name].block_class()
    assert is_dataclass(block) and issubclass(block, selector.Config)
    assert all(field.metadata["doc"] for field in fields(selector.Config))


@pytest.mark.parametrize("name", SELECTORS)
def test_a_selector_says_what_it_reads_and_what_it_does(name):
    selector = spec_of(name, SelectJob()).build({"scores": scores_of, "gumbel": GumbelConfig()})
    assert selector.reads and all(isinstance(column, str) for column in selector.reads)
    assert SELECTORS[name].summary and selector.__doc__


@pytest.mark.parametrize("name", [name for name, entry in SELECTORS.items() if entry.preparation])
def test_a_preparation_is_made_of_the_job_the_selector_and_who_measures(name):
    preparation = SELECTORS[name].preparation_class()
    assert list(signature(preparation).parameters) == ["job", "spec", "measuring"]
    assert list(signature(preparation.stages).parameters) == ["self"]
    assert list(signature(preparation.inputs).parameters) == ["self", "made"]
    assert isinstance(preparation.after, property)
    assert list(signature(preparation.check).parameters) == ["self"]
