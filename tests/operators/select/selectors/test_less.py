import numpy as np
import pyarrow as pa
import pytest

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.less import PAPER_RATES, Less, LessConfig
from operators.select.selectors.picking.ranking import GumbelConfig
from tests.operators.select.selectors.pools import MemoryPool

RATES = [4e-5, 1e-5, 3e-5]
DIMENSIONS = 24


def gradients(rows: int, seed: int, missing: tuple[int, ...] = ()) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, DIMENSIONS))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    vectors[list(missing)] = np.nan
    return vectors


def column(vectors: np.ndarray) -> pa.Array:
    mask = pa.array(np.isnan(vectors[:, 0]))
    return pa.FixedSizeListArray.from_arrays(pa.array(np.nan_to_num(vectors).ravel()), vectors.shape[1], mask=mask)


def pool(matrices: list[np.ndarray], part_rows: int = 3, **columns) -> MemoryPool:
    named = {f"gradient_{number}": column(vectors) for number, vectors in enumerate(matrices)}
    return MemoryPool({**named, **columns}, part_rows=part_rows)


def train(rows: int = 20, missing: tuple[int, ...] = (), **how) -> tuple[MemoryPool, list[np.ndarray]]:
    matrices = [gradients(rows, seed, missing) for seed in range(3)]
    return pool(matrices, **how), matrices


def target(subtasks: list[str | None], missing: tuple[int, ...] = (), **how) -> tuple[MemoryPool, list[np.ndarray]]:
    matrices = [gradients(len(subtasks), 100 + seed, missing) for seed in range(3)]
    return pool(matrices, **{"record.subtask": pa.array(subtasks, pa.string())}, **how), matrices


def influence(train: list, target: list, rates, subtasks: list) -> np.ndarray:
    """The formula, row by row in float64: (N, S) in the order of the subtasks' names."""
    names = sorted({name or "all" for name in subtasks})
    found = np.zeros((len(train[0]), len(names)))
    for i in range(len(train[0])):
        for s, name in enumerate(names):
            members = [j for j, given in enumerate(subtasks) if (given or "all") == name]
            for c, rate in enumerate(rates):
                inner = [float(train[c][i].astype(float) @ target[c][j].astype(float)) for j in members]
                found[i, s] += rate / sum(rates) * sum(inner) / len(inner)
    return found


def everything(selector: Less, of: MemoryPool):
    choice = selector(of, Budget(BudgetConfig(share=1.0)))
    scores = np.full(of.rows, np.nan)
    scores[choice.positions] = choice.scores
    return choice, scores


@pytest.mark.parametrize("part_rows", [1, 3, 100])
def test_scores_are_the_formula_and_the_highest_come_first(part_rows):
    subtasks = ["b", "a", "b", None, "a", "b"]
    (rows, train_vectors), (aims, target_vectors) = train(part_rows=part_rows), target(subtasks, part_rows=part_rows)
    choice, scores = everything(Less(LessConfig(), None, aims, RATES), rows)
    expected = influence(train_vectors, target_vectors, RATES, subtasks)
    np.testing.assert_allclose(scores, expected.max(1), atol=1e-6)
    assert (scores[:, None] >= expected - 1e-6).all()
    assert choice.positions.tolist() == np.argsort(-expected.max(1), kind="stable").tolist()
    assert choice.notes["subtasks"] == {"a": 2, "all": 1, "b": 3}
    assert choice.notes["columns"]["subtask"].tolist() == [["a", "all", "b"][s] for s in expected.argmax(1)]
    assert choice.notes["weights"] == pytest.approx([0.5, 0.125, 0.375])


def test_a_row_that_is_a_target_row_has_influence_1():
    vectors = [gradients(5, seed) for seed in range(2)]
    aims = pool([matrix[2:3] for matrix in vectors], **{"record.subtask": pa.array(["x"])})
    _, scores = everything(Less(LessConfig(), None, aims, [1e-5, 2e-5]), pool(vectors))
    assert scores[2] == pytest.approx(1, abs=2e-3) and scores.argmax() == 2


def test_a_row_without_a_gradient_is_never_chosen_and_moves_no_other():
    (whole, _), (aims, _) = train(), target(["a", "b"])
    (holed, _) = train(missing=(0, 7))
    _, scores = everything(Less(LessConfig(), None, aims, RATES), whole)
    choice, with_holes = everything(Less(LessConfig(), None, aims, RATES), holed)
    assert choice.excluded == {"no_score": 2} and not {0, 7} & set(choice.positions.tolist())
    rest = [row for row in range(20) if row not in (0, 7)]
    assert np.array_equal(with_holes[rest], scores[rest])
    assert choice.notes["columns"]["subtask"][7] is None


def test_a_row_without_a_gradient_keeps_the_reason_of_the_first_checkpoint_that_has_one():
    (aims, _), reasons = target(["a", "b"]), pa.nulls(20, pa.string()).to_pylist()
    first, second = reasons.copy(), reasons.copy()
    first[7], second[0], second[7] = "too_long", "no_gradient", "no_target"
    (holed, _) = train(missing=(0, 7), **{"gradient_0.reason": first, "gradient_2.reason": second})
    choice, _ = everything(Less(LessConfig(), None, aims, RATES), holed)
    assert choice.excluded == {"too_long": 1, "no_gradient": 1}


def test_target_rows_without_a_gradient_do_not_count():
    subtasks = ["a", "b", "a", "c"]
    (rows, train_vectors), (aims, vectors) = train(), target(subtasks, missing=(0, 3))
    choice, scores = everything(Less(LessConfig(), None, aims, RATES), rows)
    kept = [vectors[c][[1, 2]] for c in range(3)]
    np.testing.assert_allclose(scores, influence(train_vectors, kept, RATES, ["b", "a"]).max(1), atol=1e-6)
    assert choice.notes["subtasks"] == {"a": 1, "b": 1}
    nothing, _ = target(["a", "b"], missing=(0, 1))
    with pytest.raises(BadRequest, match="no row of the target has a gradient"):
        everything(Less(LessConfig(), None, nothing, RATES), rows)


def test_as_released_knows_no_subtasks_and_has_the_weights_of_the_paper():
    train_vectors = [gradients(9, seed) for seed in range(4)]
    target_vectors = [gradients(4, 100 + seed) for seed in range(4)]
    aims = pool(target_vectors, **{"record.subtask": pa.array(["a", "b", "a", "b"])})
    rates, rows = [4e-5, 3e-5, 2e-5, 1e-5], pool(train_vectors)
    released, scores = everything(Less(LessConfig(variant="as_released"), None, aims, rates), rows)
    expected = influence(train_vectors, target_vectors, PAPER_RATES, [None] * 4)[:, 0]
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert released.notes["subtasks"] == {"all": 4}
    _, default = everything(Less(LessConfig(), None, aims, rates), rows)
    assert not np.allclose(scores, default)
    with pytest.raises(BadRequest, match=r"4 epochs.*has 3"):
        Less(LessConfig(variant="as_released"), None, aims, RATES)


def test_a_temperature_draws_by_the_influence():
    (rows, _), (aims, _) = train(), target(["a", "b"])
    hard = Less(LessConfig(), None, aims, RATES)(rows, Budget(BudgetConfig(rows=5))).positions
    drawn = Less(LessConfig(), GumbelConfig(tau=1e3), aims, RATES)(rows, Budget(BudgetConfig(rows=5))).positions
    assert len(set(drawn.tolist())) == 5 and drawn.tolist() != hard.tolist()


def test_gradients_are_streamed_once_even_for_a_share():
    (rows, _), (aims, _) = train(), target(["a", "b"])
    seen = []
    columns = rows.columns
    rows.columns = lambda *names: seen.append(names) or columns(*names)
    Less(LessConfig(), None, aims, RATES)(rows, Budget(BudgetConfig(share=0.5)))
    assert [names[:3] for names in seen if "gradient_0" in names] == [("gradient_0", "gradient_1", "gradient_2")]
    assert all(names == ("id",) for names in seen if "gradient_0" not in names)


def test_what_cannot_be_is_refused():
    rows, aims = train()[0], target(["a"])[0]
    assert Less(LessConfig()).reads == ("id",)
    with pytest.raises(BadRequest, match=r"target\.path"):
        Less(LessConfig(), None, None, RATES)(rows, Budget(BudgetConfig(rows=1)))
    with pytest.raises(BadRequest, match="not all of them 0"):
        Less(LessConfig(), None, aims, [0.0, 0.0])
    with pytest.raises(BadRequest, match="as_released"):
        LessConfig(variant="official")
