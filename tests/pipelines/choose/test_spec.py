import pytest

from operators.errors import BadRequest
from operators.select.selectors.random import Random, RandomConfig
from pipelines.choose.spec import spec_of
from pipelines.select.job import SelectJob


def test_settings_of_its_own_stand_behind_the_name():
    spec = spec_of("random:seed=3:stratify=kind", SelectJob(random=RandomConfig(seed=1)))
    assert (spec.label, spec.name) == ("random-seed-3-stratify-kind", "random")
    assert spec.block == RandomConfig(seed=3, stratify="kind")
    assert spec_of("random", SelectJob(random=RandomConfig(seed=1))).block == RandomConfig(seed=1)


def test_a_selector_is_handed_what_it_asks_for_and_nothing_else():
    assert isinstance(spec_of("random", SelectJob()).build({"gumbel": "unused", "target": "unused"}), Random)
    assert spec_of("k_center", SelectJob()).build({"labelled": [3]}).labelled.tolist() == [3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("randon", "Did you mean 'random'"),
        ("random:sead=1", "random:sead=1.*See random"),
        ("clustered:quota=fair", "clustered.quota"),
    ],
)
def test_what_is_unknown_is_told(text, message):
    with pytest.raises(BadRequest, match=message):
        spec_of(text, SelectJob())
