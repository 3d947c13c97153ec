import os
import shutil
import sys

import numpy as np
import pytest
import torch

from operators.errors import BadRequest
from operators.models.causal_lm import load_causal_lm
from operators.storage.config import StorageConfig
from operators.text.tokenizer import load_tokenizer
from operators.tokens.rows import checksums, flat, rows_of
from pipelines.config import compose
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import read_records
from pipelines.pack.artifact import PackedArtifact
from pipelines.score.artifact import ScoreArtifact
from pipelines.score.job import ScoreJob
from pipelines.score.pipeline import ScoreRows
from tests.chaos.processes import Run, wait_for
from tests.fakes.scoring_server import Behaviour, fake_loss, scoring_server
from tests.pipelines.chain import WINDOW, make_packed, place_of, run, table
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.usefixtures("ray_session")
FINISHED = ("score.entropy=true", "output.tokens_per_part=600")


@pytest.fixture(scope="module")
def here(tmp_path_factory, ray_session):
    return make_packed(tmp_path_factory.mktemp("score"))


def score(here, output, *words, models=None, **how):
    models = models or here / "model"
    return run(
        "score", f"data.path={here / 'packed'}", f"reference.models=[{models}]", f"output.path={output}", *words, **how
    )


@pytest.fixture(scope="module")
def finished(here):
    """Scores in several parts, to look at or to copy."""
    return score(here, here / "finished", *FINISHED)


def test_scores_are_the_losses_of_the_model_beside_their_tokens(here, finished):
    place = finished
    packed = PackedArtifact.open(str(here / "packed"), StorageConfig(), "data.path")
    scores = ScoreArtifact.open(place.url, StorageConfig(), "data.scores").of(packed)
    model = load_causal_lm(str(here / "model"))
    for shard in packed.shards:
        rows, found = rows_of(packed.load(shard)), scores.load(shard)
        assert (
            found["id"].to_pylist() == rows.ids and found["checksum"].to_pylist() == checksums(rows.tokens_RT).tolist()
        )
        losses = flat(found["reference_loss"]).reshape(-1, WINDOW)
        entropies = flat(found["reference_entropy"]).reshape(-1, WINDOW)
        assert (np.isfinite(losses) == rows.defined_RT).all() and (np.isfinite(entropies) == rows.defined_RT).all()
        for row, begin, end in rows.segments()[:12]:
            tokens = torch.tensor(rows.tokens_RT[row, begin:end].astype(np.int64))[None]
            with torch.no_grad():
                log_p = model(tokens).logits[0].double().log_softmax(-1)
            expected = -log_p[:-1].gather(1, tokens[0, 1:, None])[:, 0].numpy()
            wanted = rows.targets_RT[row, begin + 1 : end]
            np.testing.assert_allclose(losses[row, begin + 1 : end][wanted], expected[wanted], atol=5e-3)
            entropy = -(log_p.exp() * log_p).sum(-1).numpy()[:-1]
            np.testing.assert_allclose(entropies[row, begin + 1 : end][wanted], entropy[wanted], atol=5e-3)
    assert verify(place).whole


def test_no_more_is_claimed_than_there_are_units_to_score(here):
    words = [f"data.path={here / 'packed'}", f"reference.models=[{here / 'model'}]", f"output.path={here / 'none'}"]
    for copies, tokens, claimed in ((8, 10**9, None), (2, 600, 2)):
        job = compose(ScoreJob, None, [*words, f"reference.copies={copies}", f"output.tokens_per_part={tokens}"])
        scoring = ScoreRows(job)
        assert scoring.claims.count() == (claimed or len(scoring.packed.shards)) < 8


def test_an_interrupted_run_goes_on_with_what_is_missing_and_gives_the_same_bytes(here, finished, tmp_path):
    whole, place = finished, place_of(tmp_path / "out")
    shutil.copytree(whole.url, place.url)
    before = set(place.names("data"))
    (damaged, *_) = sorted(before)
    place.publish(damaged, b"gone")
    with pytest.raises(Exception, match="not whole"):
        from pipelines.ledger.proof.verify import run_verify

        run_verify(place, repair=True, say=lambda line: None)
    kept = set(place.names("data"))
    score(here, tmp_path / "out", *FINISHED)
    after = set(place.names("data"))
    assert before - kept == {damaged} and kept < after and len(after) == len(before)
    assert sorted(map(whole.read, whole.names("data"))) == sorted(map(place.read, after))


@pytest.mark.long
def test_several_references_stand_side_by_side(here, tmp_path):
    other = make_tiny_model(tmp_path / "other", context_tokens=WINDOW, seed=5)
    place = score(here, tmp_path / "out", models=f"{here / 'model'},{other}")
    both = table(place)
    alone = table(score(here, tmp_path / "alone", models=other))
    assert {"reference_loss_1", "reference_loss_2"} < set(both.column_names)
    assert flat(both["reference_loss_2"]).tobytes() == flat(alone["reference_loss"]).tobytes()
    assert flat(both["reference_loss_1"]).tobytes() != flat(alone["reference_loss"]).tobytes()


def test_a_model_with_another_tokenizer_is_refused(here, tmp_path):
    other = make_tiny_model(tmp_path / "other", context_tokens=WINDOW, vocabulary=300)
    with pytest.raises(BadRequest, match="packed with another tokenizer than that of"):
        score(here, tmp_path / "out", models=other)


def test_a_model_with_a_shorter_context_is_refused(here, tmp_path):
    other = make_tiny_model(tmp_path / "other", context_tokens=WINDOW // 2)
    with pytest.raises(BadRequest, match=rf"rows are {WINDOW} tokens long and .* reads {WINDOW // 2} at most"):
        score(here, tmp_path / "out", models=other)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reference.models=[]"], "give either reference.models"),
        (["reference.models=[nowhere]"], "no model"),
        (["reference.openai.model=m", "reference.models=[]"], r"reference.tokenizer is not given"),
        (
            ["reference.openai.model=m", "reference.models=[]", "reference.tokenizer=t"],
            r"^reference\.openai\.base_url is empty",
        ),
        (["data.path=null"], r"data.path is not given"),
        (["score.dtype=int4"], r"score.dtype is 'int4'"),
        (["score.saved=bfloat16"], r"score.saved is 'bfloat16'. It may be float16 or float32"),
        (["reference.copies=0"], r"reference.copies is a number"),
    ],
)
def test_bad_settings_are_told_before_anything_is_spent(here, tmp_path, words, said):
    with pytest.raises(BadRequest, match=said):
        score(here, tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_scores_of_other_rows_are_refused(finished, tmp_path):
    other = make_packed(tmp_path / "there", 30)
    packed = PackedArtifact.open(str(other / "packed"), StorageConfig(), "data.path")
    with pytest.raises(BadRequest, match=r"belong to other packed rows than .* \(they were made from"):
        ScoreArtifact.open(finished.url, StorageConfig(), "data.scores").of(packed)


def test_a_text_artifact_is_no_packed_one(finished):
    with pytest.raises(
        BadRequest, match=r"was made by `gristmill run score`. Give the folder that `gristmill run pack` made"
    ):
        PackedArtifact.open(finished.url, StorageConfig(), "data.path")


def test_unfinished_rows_are_refused(here, tmp_path):
    from pipelines.ledger.proof.repair import mend

    place = place_of(make_packed(tmp_path / "there", 60) / "packed")
    place.publish(place.names("data")[0], b"gone")
    mend(place, verify(place), lambda line: None)
    with pytest.raises(BadRequest, match="is not finished: 1 of 1 splits are missing"):
        PackedArtifact.open(place.url, StorageConfig(), "data.path")
    assert read_records(place)


def test_a_server_can_be_the_reference(here, tmp_path):
    tokenizer = load_tokenizer(str(here / "model"))
    with scoring_server(Behaviour(lambda token: tokenizer.decode([token], skip_special_tokens=False))) as url:
        settings = [
            f"reference.openai.base_url={url}",
            "reference.openai.model=fake",
            "reference.openai.concurrency=4",  # as many as its queue takes
            f"reference.tokenizer={here / 'model'}",
        ]
        place = run("score", f"data.path={here / 'packed'}", *settings, f"output.path={tmp_path / 'out'}")
    packed = PackedArtifact.open(str(here / "packed"), StorageConfig(), "data.path")
    scores = ScoreArtifact.open(place.url, StorageConfig(), "data.scores").of(packed)
    rows, found = rows_of(packed.load(packed.shards[0])), scores.load(packed.shards[0])
    losses = flat(found["reference_loss"]).reshape(-1, WINDOW)
    row, token = np.argwhere(rows.defined_RT)[7]
    before, after = rows.tokens_RT[row, token - 1 : token + 1].tolist()
    assert losses[row, token] == pytest.approx(fake_loss(before, after), abs=5e-3)
    assert (np.isfinite(losses) == rows.defined_RT).all()


@pytest.mark.long
def test_a_killed_actor_and_a_killed_driver_cost_no_row(here, tmp_path):
    place, words = place_of(tmp_path / "out"), ["output.tokens_per_part=64", f"output.path={tmp_path / 'out'}"]
    words += [f"data.path={here / 'packed'}", f"reference.models=[{here / 'model'}]"]
    command = [
        sys.executable,
        "-m",
        "pipelines",
        "run",
        "score",
        "cluster.cpus=2",
        "cluster.object_store_mb=100",
        *words,
    ]
    process = Run(command, tmp_path / "log", here, os.environ | {"PYTHONPATH": os.getcwd()})

    def scored() -> int:
        process.family.look()
        records = read_records(place)
        return records.now().counts.get("kept", {}).get("scored", 0) if records else 0

    try:
        for wanted in (5, 40):
            assert wait_for(lambda wanted=wanted: scored() >= wanted or process.code is not None, 90, 0.02), (
                process.last_words()
            )
            assert process.code is None, f"over before it could be killed: {process.last_words()}"
            if wanted == 5:
                for worker, title in process.family.workers().items():
                    if "ScoreUnits" in title:
                        worker.kill()
        process.process.kill()
        process.process.wait()
    finally:
        process.family.end(patience_s=30)
    before = set(place.names("data"))
    whole = score(here, tmp_path / "whole", "output.tokens_per_part=64")
    run("score", *words)
    counted = sum(part.name in before for commit in read_records(place).commits(place) for part in commit.parts)
    assert 40 <= counted < len(place.names("data")), (
        "what was committed before the death stays, and is not scored again"
    )
    assert verify(place).whole
    assert sorted(map(whole.read, whole.names("data"))) == sorted(map(place.read, place.names("data")))
