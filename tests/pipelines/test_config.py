from dataclasses import dataclass, field
from typing import Any

import pytest

from operators.errors import BadRequest
from operators.settings import setting
from pipelines.config import compose
from pipelines.settings import describe, identity, resolved


@dataclass
class Oven:
    heat: int = setting(200, "degrees")
    racks: int = setting(1, "how many at once", identity=False)


@dataclass
class Gas:
    bottle: str = setting("blue", "colour")


@dataclass
class Bake:
    names: list[str] = setting([], "what to bake")
    oven: Oven = field(default_factory=Oven)
    gas: Gas | None = None
    extra: dict | None = setting(None, "passed through", placement={"speed"})
    where: Any = setting(None, "an address or several")
    name: str | None = setting("plain", "of the cake")


def test_the_command_line_wins_over_the_file_and_the_file_over_defaults(tmp_path):
    file = tmp_path / "bake.yaml"
    file.write_text("names: [rye]\noven: {heat: 180}\n")
    bake = compose(Bake, str(file), ["oven.heat=210", "oven.racks=3"])
    assert bake == Bake(["rye"], Oven(210, 3))


def test_optional_blocks_are_filled_by_their_keys():
    assert compose(Bake, None, ["gas.bottle=red", "extra.any.thing=1"]) == Bake(
        gas=Gas("red"), extra={"any": {"thing": 1}}
    )


@pytest.mark.parametrize(
    ("word", "near"),
    [("oven.heta=3", "oven.heat"), ("nams=[a]", "names"), ("ovn.heat=1", "oven"), ("heat=3", "oven.heat")],
)
def test_an_unknown_key_names_the_nearest_ones(word, near):
    with pytest.raises(BadRequest, match=f"Did you mean.*{near}"):
        compose(Bake, None, [word])


@pytest.mark.parametrize(
    "words", [["oven.heat=hot"], ["oven"], ["--oven=3"], ["oven=3"], ["names=[a"], ["name=${oc.env:NOT_SET}"]]
)
def test_a_word_that_does_not_fit_is_a_bad_request(words):
    with pytest.raises(BadRequest):
        compose(Bake, None, words)


@pytest.mark.parametrize("text", ["names: [", "- a\n- b", "just words"])
def test_a_broken_file_is_a_bad_request(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(BadRequest, match=r"x\.yaml"):
        compose(Bake, str(tmp_path / "x.yaml"), [])


def test_a_missing_file_is_named():
    with pytest.raises(BadRequest, match=r"nowhere\.yaml"):
        compose(Bake, "nowhere.yaml", [])


def test_every_leaf_is_described():
    settings = {s.key: s for s in describe(Bake)}
    assert list(settings) == ["names", "oven.heat", "oven.racks", "gas.bottle", "extra", "where", "name"]
    assert settings["oven.heat"].doc == "degrees"


def test_identity_leaves_out_where_it_runs():
    assert identity(Bake(oven=Oven(racks=1))) == identity(Bake(oven=Oven(racks=9)))
    assert identity(Bake(oven=Oven(heat=1))) != identity(Bake(oven=Oven(heat=9)))


def test_of_a_mapping_only_what_decides_the_content_is_identity():
    assert identity(Bake(extra={"speed": 1, "size": 1})) == identity(Bake(extra={"speed": 2, "size": 1}))
    assert identity(Bake(extra={"size": 1})) != identity(Bake(extra={"size": 2}))


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("name=no", "name", "no"),
        ("name=", "name", ""),
        ("name=null", "name", None),
        ("name=a: b", "name", "a: b"),
        ("where=*.jsonl", "where", "*.jsonl"),
        ("where=[a,b]", "where", ["a", "b"]),
        ("names=rye", "names", ["rye"]),
        ("names=rye,oat", "names", ["rye", "oat"]),
        ("names=[rye, oat]", "names", ["rye", "oat"]),
    ],
)
def test_words_are_taken_as_they_stand(word, key, value):
    assert getattr(compose(Bake, None, [word]), key) == value


def test_the_resolved_config_composes_to_the_same(tmp_path):
    import yaml

    bake = compose(Bake, None, ["gas.bottle=red", "names=[a,b]"])
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(resolved(bake)))
    assert compose(Bake, str(tmp_path / "again.yaml"), []) == bake


@pytest.mark.parametrize(
    "extra",
    [
        {"url": "s3://k:hush@b/x"},
        {"hf_token": "hush"},
        {"headers": {"Authorization": "Bearer hush", "Cookie": "hush", "x-api-key": "hush"}},
        {"url": "http://me:hu@hush@host/v1", "api_keys": ["hush"]},
        {"url": ["http://me:hush@host/v1", "https://host/v1?api-key=hush"]},
    ],
)
def test_a_secret_is_neither_saved_nor_identity(extra):
    bake = Bake(extra=extra)
    assert "hush" in str(bake)
    assert "hush" not in str(resolved(bake)) and "hush" not in str(identity(bake))


def test_what_only_looks_like_a_secret_is_saved():
    plain = {
        "max_tokens": 3,
        "key_env": "KEY",
        "path": "s3://bucket/part-?.parquet",
        "pad_token": "<pad>",
        "say": "as https://x.org/?a does",
    }
    assert resolved(Bake(extra=plain))["extra"] == plain
