import shutil

import numpy as np
import pytest
import torch

from operators.errors import BadRequest
from operators.learn.dynamics.classes import CLASSES
from operators.models.causal_lm import load_causal_lm
from operators.storage.config import StorageConfig
from operators.tokens.rows import flat, rows_of
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import read_records
from pipelines.pack.artifact import PackedArtifact
from tests.pipelines.chain import WINDOW, make_packed, place_of, run, table
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.usefixtures("ray_session")
MODELS = 3


@pytest.fixture(scope="module")
def here(tmp_path_factory, ray_session):
    folder = make_packed(tmp_path_factory.mktemp("dynamics"), 40)
    for number in range(MODELS):
        make_tiny_model(folder / f"step-{number}", context_tokens=WINDOW, seed=number)
    run(
        "score",
        f"data.path={folder / 'packed'}",
        f"reference.models=[{folder / 'model'}]",
        f"output.path={folder / 'scores'}",
    )
    return folder


def dynamics(here, output, *words):
    models = ",".join(str(here / f"step-{number}") for number in range(MODELS))
    return run("dynamics", f"data.path={here / 'packed'}", f"checkpoints=[{models}]", f"output.path={output}", *words)


@pytest.fixture(scope="module")
def finished(here):
    """The dynamics of a few models, to look at or to copy."""
    return dynamics(here, here / "finished", f"data.scores={here / 'scores'}")


def losses(model: str, rows) -> np.ndarray:
    """Give the losses of packed rows under a model, context by context: float64 (R, T)."""
    network, found = load_causal_lm(model), np.full(rows.tokens_RT.shape, np.nan)
    for row, begin, end in rows.segments():
        tokens = torch.tensor(rows.tokens_RT[row, begin:end].astype(np.int64))[None]
        with torch.no_grad():
            log_p = network(tokens).logits[0].double().log_softmax(-1)
        found[row, begin + 1 : end] = -log_p[:-1].gather(1, tokens[0, 1:, None])[:, 0].numpy()
    return np.where(rows.defined_RT, found, np.nan)


@pytest.mark.long
def test_tokens_are_classified_by_the_line_through_their_losses(here, finished):
    place = finished
    packed = PackedArtifact.open(str(here / "packed"), StorageConfig(), "data.path")
    found = dict(zip(table(place)["id"].to_pylist(), flat(table(place)["class"]).reshape(-1, WINDOW), strict=True))
    for shard in packed.shards:
        rows = rows_of(packed.load(shard))
        losses_XRT = np.stack([losses(str(here / f"step-{number}"), rows) for number in range(MODELS)])
        change = np.polyfit(np.arange(MODELS), losses_XRT.reshape(MODELS, -1), 1)[0].reshape(rows.tokens_RT.shape) * (
            MODELS - 1
        )
        codes = np.stack([found[id] for id in rows.ids])
        clear = np.abs(np.abs(change) - 0.2) > 1e-4
        falls, rises = CLASSES.index("H→L"), CLASSES.index("L→H")
        assert ((codes == falls) == (change < -0.2))[clear & rows.defined_RT].all()
        assert ((codes == rises) == (change > 0.2))[clear & rows.defined_RT].all()
        assert ((codes == -1) == ~rows.defined_RT).all()
    assert verify(place).whole
    counts = read_records(place).now().counts
    assert sum(one["tokens"] for one in counts["classes"].values()) == sum((code >= 0).sum() for code in found.values())
    page = place.read("report.html").decode()
    assert "H→L" in page and "not kept" in page and "<script" not in page


@pytest.mark.long
def test_checkpoints_that_were_scored_are_not_scored_again(here, finished, tmp_path):
    place = place_of(tmp_path / "out")
    shutil.copytree(finished.url, place.url)
    before = {folder: place.names(f"{folder}/data") for folder in place.folders("losses")}
    assert len(before) == MODELS
    place.publish(place.names("data")[0], b"gone")
    with pytest.raises(Exception, match="not whole"):
        from pipelines.ledger.proof.verify import run_verify

        run_verify(place, repair=True, say=lambda line: None)
    dynamics(here, tmp_path / "out", f"data.scores={here / 'scores'}")
    assert verify(place).whole
    assert {folder: place.names(f"{folder}/data") for folder in place.folders("losses")} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["checkpoints=[]"], "checkpoints names 0 models. A change needs two"),
        (["threshold=-1"], "threshold is a number of nats from 0"),
        (["checkpoints=[nowhere,there]"], "no model"),
    ],
)
def test_bad_settings_are_told_before_anything_is_spent(here, tmp_path, words, said):
    with pytest.raises(BadRequest, match=said):
        dynamics(here, tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()
