import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig, example_of
from operators.examples.prompting import Prompting, PromptingConfig
from operators.models.causal_lm import load_causal_lm
from operators.models.lora import MOMENTS_FILE, Moments
from operators.select.measure.base import ModelConfig, NotFinite
from operators.select.measure.gradients import features as gradient_features
from operators.select.measure.gradients.config import GradientsConfig
from operators.select.measure.gradients.measure import Gradients
from operators.select.measure.gradients.projection import Projection
from tests.operators.select.measure.checkpoints import make_checkpoint
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.model
DIMENSIONS = 512
TULU = PromptingConfig(template="tulu")
RECORDS = [
    {"instruction": "What does a mill do?", "output": "It grinds grain between two heavy stones."},
    {"instruction": "Name a river.", "input": "In Europe.", "output": "The Rhine"},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello. " * 30}]},
    {"text": "The mill stands by the river, and the river turns its wheel."},
    {"instruction": "Count.", "output": "1 2 3 4 5 6 7 8 9"},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, model):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"), model)


@pytest.fixture
def measure(model, checkpoint):
    def make(kind: str = "target", score_eos: bool | None = None, **changes) -> Gradients:
        config = GradientsConfig(str(checkpoint), kind, dimensions=DIMENSIONS)
        prompting, scorer = replace(TULU, score_eos=score_eos), ModelConfig(path=str(model), device="cpu", **changes)
        return Gradients(config, ExampleConfig(), prompting, scorer)

    return make


def rows(records: list[dict]) -> pa.Table:
    return pa.table(
        {"id": [f"r{n}" for n in range(len(records))], "record": [json.dumps(record) for record in records]}
    )


def vectors(table: pa.Table) -> np.ndarray:
    return np.array(table["gradient"].to_pylist(), dtype=np.float64)


def assert_same_direction(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Cosines are 1 up to 1e-5; the lengths are so only up to the rounding of float16."""
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    assert np.abs((ours * theirs).sum(1) / lengths - 1).max() < 1e-5
    assert np.abs(lengths - 1).max() < 1e-3


def one_by_one(model, checkpoint, records: list[dict]) -> list[dict[str, torch.Tensor]]:
    """Each row's gradient in the plainest way: alone, full logits, plain backward, in float64."""
    network = load_causal_lm(str(model)).double()
    moments = Moments.load(str(checkpoint))
    moments.put_on(network)
    prompting = Prompting(replace(TULU, score_eos=True), str(model))
    found = []
    for record in records:
        (tokens,) = prompting.tokenise([example_of(record, ExampleConfig())])
        ids, answer = torch.from_numpy(tokens.ids).long(), torch.from_numpy(tokens.answer.copy())
        answer[0] = False
        network.zero_grad()
        logits = network(input_ids=ids[None]).logits[0]
        torch.nn.functional.cross_entropy(logits[:-1][answer[1:]], ids[1:][answer[1:]]).backward()
        found.append({name: values.grad.clone() for name, values in network.named_parameters() if values.requires_grad})
    return found


def features(gradients: dict, moments: Moments | None) -> torch.Tensor:
    """The formulas of the specification, before the projection."""
    parts = []
    for name, gradient in gradients.items():
        if moments:
            mean = 0.9 * moments.means[name].double() + 0.1 * gradient
            square = 0.999 * moments.squares[name].double() + 0.001 * gradient**2
            gradient = mean / torch.sqrt(square + 1e-8)
        parts.append(gradient.flatten())
    return torch.cat(parts)


def projected(feature: torch.Tensor) -> torch.Tensor:
    into = torch.zeros(1, DIMENSIONS)
    Projection(DIMENSIONS, 0, torch.device("cpu")).add(feature[None].float(), into)
    return torch.nn.functional.normalize(into)[0].double()


@pytest.mark.parametrize("kind", ["target", "train"])
def test_the_token_that_ends_an_answer_is_read_as_the_warm_up_learns_it_unless_it_is_not_to_be(model, checkpoint, kind):
    def gradients(**changes) -> np.ndarray:
        config = GradientsConfig(str(checkpoint), kind, DIMENSIONS, released=changes.pop("released", False))
        scorer = ModelConfig(path=str(model), device="cpu")
        return vectors(Gradients(config, ExampleConfig(), replace(TULU, **changes), scorer)(rows(RECORDS[:2])))

    usual, ended, bare, form = (
        gradients(),
        gradients(score_eos=True),
        gradients(score_eos=False),
        gradients(released=True),
    )
    np.testing.assert_array_equal(usual, ended)
    assert ((usual * bare).sum(1) < 0.999).all() and ((usual * form).sum(1) < 0.9999).all()


@pytest.mark.parametrize("batch_tokens", [1, 2048])
def test_gradients_of_a_batch_are_those_of_each_row_alone(model, checkpoint, measure, batch_tokens):
    operator = measure(batch_tokens=batch_tokens)._features
    tokens = operator._tokens(rows(RECORDS))[0]
    expected = one_by_one(model, checkpoint, RECORDS)
    seen = 0
    for numbers, gradients in operator.model.of(tokens, most=3):
        for name, gradient_Bp in gradients:
            for number, ours in zip(numbers, gradient_Bp.double(), strict=True):
                theirs = expected[number][name].flatten()
                assert float((ours - theirs).norm()) < 1e-4 * float(theirs.norm())
                seen += 1
    assert seen == len(RECORDS) * len(expected[0])


@pytest.mark.parametrize("kind", ["target", "train"])
def test_features_are_those_of_the_formulas(model, checkpoint, measure, kind):
    moments = Moments.load(str(checkpoint)) if kind == "train" else None
    gradients = one_by_one(model, checkpoint, RECORDS)
    expected = torch.stack([projected(features(each, moments)) for each in gradients])
    table = measure(kind)(rows(RECORDS))
    assert table["reason"].null_count == len(RECORDS)
    assert table.schema.field("gradient").type == pa.list_(pa.float16(), DIMENSIONS)
    assert_same_direction(vectors(table), expected.numpy())


def test_half_precision_has_nearly_the_same_features(measure):
    """In bfloat16 the model's weights are coarser; the adapters stay as they were trained."""
    for kind in ("target", "train"):
        ours, theirs = (vectors(measure(kind, dtype=dtype)(rows(RECORDS))) for dtype in ("bfloat16", "float32"))
        assert ((ours * theirs).sum(1) > 0.98).all()
    network = measure(dtype="bfloat16")._features.model.model.network
    kinds = {".lora_" in name: values.dtype for name, values in network.named_parameters()}
    assert kinds == {True: torch.float32, False: torch.bfloat16}


def test_cosines_are_those_before_the_projection_up_to_its_error(model, checkpoint, measure):
    plain = torch.stack([features(each, None) for each in one_by_one(model, checkpoint, RECORDS)])
    plain = torch.nn.functional.normalize(plain).numpy()
    ours = vectors(measure()(rows(RECORDS)))
    assert np.abs(ours @ ours.T - plain @ plain.T).max() < 5 / np.sqrt(DIMENSIONS)


def test_equal_rows_have_cosine_1_and_others_have_not(measure):
    given = vectors(measure()(rows([RECORDS[0], RECORDS[1], RECORDS[0]])))
    assert given[0] @ given[2] == pytest.approx(1, abs=1e-4)
    assert given[0] @ given[1] < 0.99


def test_a_row_depends_on_no_other_row_nor_on_what_waits_together(measure, monkeypatch):
    whole = vectors(measure("train")(rows(RECORDS)))
    monkeypatch.setitem(gradient_features.WAITING, "cpu", 1)
    alone = measure("train")
    parts = np.concatenate([vectors(alone(rows(RECORDS).slice(first, 2))) for first in range(0, 5, 2)])
    assert_same_direction(parts, whole)


def test_a_row_without_anything_to_learn_has_a_reason_and_no_feature(measure):
    odd = [RECORDS[0], {"text": "a"}, {"instruction": "x", "output": ""}, {"text": "word " * 600}, RECORDS[1]]
    assert measure("train")(rows(odd))["reason"].to_pylist()[1] is None  # it has its end
    table = measure("train", score_eos=False)(rows(odd))
    assert table["reason"].to_pylist() == [None, "no_target", "no_answer", "too_long", None]
    assert [value is None for value in table["gradient"].to_pylist()] == [False, True, True, True, False]
    assert np.array_equal(
        vectors(table.take([0, 4])), vectors(measure("train", score_eos=False)(rows([RECORDS[0], RECORDS[1]])))
    )


def test_no_rows_have_the_same_types(measure):
    operator = measure()
    assert operator(rows(RECORDS).slice(0, 0)).schema == operator(rows(RECORDS[:1])).schema


def test_rows_for_which_there_is_no_room_are_tried_alone_and_then_named(measure, monkeypatch):
    operator = measure()._features
    whole = operator(rows(RECORDS))
    backward = operator.model._backward

    def small(examples):
        if len(examples) > 1 or len(examples[0].ids) > 60:
            raise torch.OutOfMemoryError
        return backward(examples)

    monkeypatch.setattr(operator.model, "_backward", small)
    table = operator(rows(RECORDS))
    assert table["reason"].to_pylist() == [None, None, "forward_failed", None, None]
    rest = [0, 1, 3, 4]
    assert_same_direction(vectors(table.take(rest)), vectors(whole.take(rest)))


def test_a_gradient_that_is_no_number_names_its_row(measure):
    operator = measure()._features
    with torch.no_grad():
        operator.model.model.network.model.layers[0].self_attn.v_proj.lora_A["default"].weight.fill_(float("inf"))
    with pytest.raises(NotFinite, match="in rows r0"):
        operator(rows(RECORDS[:1]))


def test_adapters_that_change_nothing_have_no_gradient(model, tmp_path, measure):
    moments = Moments.load(str(make_checkpoint(tmp_path, model)))
    zero = {name: torch.zeros_like(values) for name, values in moments.weights.items()}
    Moments(moments.lora, 0.0, zero, moments.means, moments.squares).save(tmp_path / MOMENTS_FILE)
    config = GradientsConfig(str(tmp_path), "target", dimensions=64)
    operator = Gradients(config, ExampleConfig(), TULU, ModelConfig(path=str(model)))
    assert operator(rows(RECORDS))["reason"].to_pylist() == ["no_gradient"] * 5


def test_what_cannot_be_is_refused(model, tmp_path):
    with pytest.raises(BadRequest, match="train or target"):
        GradientsConfig(kind="both")
    here = ModelConfig(path=str(model))
    with pytest.raises(BadRequest, match=r"gradients\.path is not given"):
        Gradients(GradientsConfig(), ExampleConfig(), TULU, here)
    with pytest.raises(BadRequest, match=r"checkpoint\.moments=true"):
        Gradients(GradientsConfig(str(tmp_path)), ExampleConfig(), TULU, here)
