from collections.abc import Callable

import numpy as np
import pytest

from operators.errors import BadRequest
from operators.learn.score import ScoreConfig, Scorer, Server
from operators.learn.score.base import NotFiniteScore
from operators.models.engines.base import EngineFailure
from operators.models.engines.openai.engine import OpenAIConfig
from operators.text.tokenizer import load_tokenizer
from operators.tokens.rows import PackedRows
from tests.fakes.scoring_server import ALL, Behaviour, dialect_of, fake_loss, scoring_server
from tests.operators.learn.score.references import make_reference, pack, packing_for
from tests.tiny_model import make_tiny_model

QUICK = {"model": "fake", "concurrency": 3, "backoff_s": 0.01, "max_retries": 3, "timeout_s": 10}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(make_tiny_model(tmp_path_factory.mktemp("tokenizer")))


@pytest.fixture
def spell(model) -> Callable[[int], str]:
    tokenizer = load_tokenizer(model)
    return lambda token: tokenizer.decode([token], skip_special_tokens=False)


def score(behaviour: Behaviour, model: str, rows: PackedRows, **settings) -> np.ndarray:
    with scoring_server(behaviour) as url:
        server = Server(OpenAIConfig(base_url=url, **QUICK | settings), model)
        table = Scorer(ScoreConfig(), [server])(rows.table())
    assert table.column_names == ["id", "checksum", "reference_loss"]
    return np.stack([row.values.to_numpy(zero_copy_only=False) for row in table["reference_loss"]])


def expected(rows: PackedRows) -> np.ndarray:
    """The fake's loss of each defined target, as float16."""
    tokens_RT = rows.tokens_RT.astype(int)
    losses_RT = np.vectorize(fake_loss)(np.roll(tokens_RT, 1, axis=1), tokens_RT)
    return np.where(rows.defined_RT, losses_RT, np.nan).astype(np.float32).astype(np.float16)


@pytest.mark.parametrize("cross_document", [False, True])
@pytest.mark.parametrize("dialect", ALL)
def test_each_token_gets_the_servers_loss_in_every_dialect(model, spell, dialect, cross_document):
    behaviour = Behaviour(spell, dialects=(dialect,))
    rows = pack(packing_for(model, cross_document=cross_document), [5, 40, 1, 2, 60], prompt_tokens=3)
    np.testing.assert_array_equal(score(behaviour, model, rows), expected(rows))
    asked = [dialect_of(request) for request in behaviour.requests]
    assert asked[ALL.index(dialect) :] == [dialect] * (len(asked) - ALL.index(dialect))


def test_faults_that_pass_are_ridden_out_with_no_more_in_flight_than_asked(model, spell):
    behaviour = Behaviour(spell, faults=[500, 429, 503])
    rows = pack(packing_for(model), [9] * 40)
    np.testing.assert_array_equal(score(behaviour, model, rows), expected(rows))
    assert behaviour.peak <= QUICK["concurrency"]


def test_a_server_with_another_tokenizer_is_refused_at_the_hand_shake(model, tmp_path):
    other = load_tokenizer(make_reference(tmp_path, text=["other words, other merges and other pieces of them"] * 3))
    behaviour = Behaviour(lambda token: other.decode([min(token, other.get_vocab_size() - 1)]))
    with pytest.raises(BadRequest, match=r"fake has another tokenizer .* token \d+ is '.*' there and '.*' here"):
        score(behaviour, model, pack(packing_for(model), [9]))
    assert len(behaviour.requests) == 1


@pytest.mark.parametrize("dialect", ALL)
def test_a_server_that_puts_a_token_of_its_own_before_the_prompt_is_refused(model, spell, dialect):
    behaviour = Behaviour(spell, first=1, dialects=(dialect,))
    with pytest.raises(BadRequest, match="adds, drops or changes tokens"):
        score(behaviour, model, pack(packing_for(model), [9]))


def test_a_server_that_changes_a_token_is_refused(model, spell):
    rows = pack(packing_for(model), [20])
    behaviour = Behaviour(spell, swap=(int(rows.tokens_RT[0, 5]), 3))
    with pytest.raises(BadRequest, match="adds, drops or changes tokens"):
        score(behaviour, model, rows)


def test_a_server_that_tells_nothing_of_what_it_is_given_is_refused(model, spell):
    with pytest.raises(BadRequest, match=r"tells no log-probabilities .*echo: .*not supported.*such as vLLM"):
        score(Behaviour(spell, dialects=()), model, pack(packing_for(model), [9]))


def test_a_server_whose_context_is_too_short_is_refused_before_anything_is_sent(model, spell):
    rows = pack(packing_for(model, window=100), [100])
    score(Behaviour(spell, context_tokens=101), model, rows)
    behaviour = Behaviour(spell, context_tokens=100)
    with pytest.raises(BadRequest, match=r"takes 100 tokens at once, and rows of 100 need 101.*pack\.window=99"):
        score(behaviour, model, rows)
    assert len(behaviour.requests) == 1


def test_rows_of_another_tokenizer_than_the_one_named_are_refused(model, spell, tmp_path):
    other = str(make_tiny_model(tmp_path, vocabulary=300))
    with pytest.raises(BadRequest, match="packed with another tokenizer"):
        score(Behaviour(spell), model, pack(packing_for(other), [9]))


def test_a_token_that_the_server_calls_impossible_is_told_with_its_row(model, spell):
    rows = pack(packing_for(model), [32, 32])
    rows.tokens_RT[:] = rows.tokens_RT % 100 + 5
    rows.tokens_RT[1, 9] = 2
    with pytest.raises(NotFiniteScore) as caught:
        score(Behaviour(spell, impossible=2), model, rows)
    assert caught.value.rows == [rows.ids[1]]


def test_a_row_that_the_server_never_answers_is_named(model, spell):
    behaviour = Behaviour(spell)
    behaviour.faults = Late([500] * 100, after=1)
    with pytest.raises(EngineFailure, match=r"fake did not score row rows-0: HTTP 500"):
        score(behaviour, model, pack(packing_for(model), [9]))


def test_a_server_that_is_not_there_is_told_by_the_name_of_its_block(model):
    server = Server(OpenAIConfig(base_url="http://127.0.0.1:9/v1", **QUICK), model)
    with pytest.raises(EngineFailure, match=r"is reference\.openai\.base_url its address"):
        Scorer(ScoreConfig(), [server])


class Late(list):
    """Faults that begin after so many requests."""

    def __init__(self, faults: list[int], after: int):
        super().__init__(faults)
        self.after = after

    def __bool__(self) -> bool:
        self.after -= 1
        return self.after < 0


def test_entropy_cannot_be_had_from_a_server(model):
    server = Server(OpenAIConfig(base_url="http://127.0.0.1:9/v1", **QUICK), model)
    with pytest.raises(BadRequest, match=r"score\.entropy=true"):
        Scorer(ScoreConfig(entropy=True), [server])
