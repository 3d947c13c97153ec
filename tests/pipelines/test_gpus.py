"""Each pipeline on a Ray that hands out GPUs: what is asked of Ray is right, and the run ends whole.

Without CUDA behind them: what a GPU computes is not tested here.
"""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cluster.claims import Claims
from cluster.errors import NoCluster
from pipelines.ledger.proof.verify import verify
from tests.fakes.openai_server import running_server
from tests.fakes.ray_gpus import GPUS, ray_with_gpus
from tests.pipelines.chain import WINDOW, make_packed, place_of, run
from tests.pipelines.instruction_rows import make_pool
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.ray
ENGINE, SCORER, MEASURE = (f"MapWorker(MapBatches({name}))" for name in ("BesideEngine", "ScoreUnits", "MeasureParts"))
UNUSED = "note: Ray hands out GPUs, and the models work on processors: torch"
TRAINED = ("model.layers=1", "model.heads=2", "model.width=32", "batch.rows=4", "steps=2", "workers.cpus=1")


@pytest.fixture(scope="module")
def gpus():
    with ray_with_gpus() as ray:
        yield ray


@pytest.fixture(scope="module")
def packed(gpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    gpus.run(make_packed, folder, 40)
    return folder


def finished(name: str, *words: str) -> str:
    """Run a pipeline, and give the folder of its artifact."""
    return run(name, *words).url


def rephrase(folder: Path, *words: str) -> list[str]:
    """Give the settings that rephrase five notes."""
    notes = [{"id": str(i), "text": f"Note {i}. The mill by the river grinds rye."} for i in range(5)]
    (folder / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    common = [
        "styles=[medium]",
        "max_tokens=8",
        "clean.preset=null",
        "mix.synthetic=100",
        f"output.path={folder / 'out'}",
    ]
    return ["rephrase", f"input.path={folder / 'notes.jsonl'}", *common, *words]


def rewrites(folder: Path) -> list[dict]:
    rows = [row for part in (folder / "out" / "data").glob("*") for row in pq.read_table(part).to_pylist()]
    return [row for row in rows if row["style"] == "medium"]


def test_an_engine_claims_a_gpu_and_the_check_beside_it_none(gpus, tmp_path):
    model = make_tiny_model(tmp_path / "model", context_tokens=1024)
    words = rephrase(tmp_path, f"engine.transformers.model={model}", "faithful.min_similarity=-1")
    seen = gpus.run(finished, *words)
    assert seen.claims[ENGINE] == 1 and sum(seen.claims.values()) == 1
    assert len(rewrites(tmp_path)) == 5 and all(row["similarity"] is not None for row in rewrites(tmp_path))
    assert verify(place_of(tmp_path / "out")).whole
    assert seen.told.count(UNUSED) == 1 and "build for processors" in seen.told


@pytest.mark.long
def test_vllm_claims_a_gpu(gpus, tmp_path):
    model = make_tiny_model(tmp_path / "model", context_tokens=1024)
    words = rephrase(tmp_path, f"engine.vllm.model={model}", "engine.vllm.max_num_seqs=4")
    seen = gpus.run(finished, *words)
    assert seen.claims[ENGINE] == 1 and UNUSED in seen.told
    assert len(rewrites(tmp_path)) == 5 and verify(place_of(tmp_path / "out")).whole


def test_an_endpoint_claims_none(gpus, tmp_path):
    with running_server() as server:
        words = [f"engine.openai.base_url={server.url}", "engine.openai.model=fake", "engine.copies=3"]
        seen = gpus.run(finished, *rephrase(tmp_path, *words))
    assert seen.claims[ENGINE] == 0 and len(rewrites(tmp_path)) == 5 and "note: Ray" not in seen.told


@pytest.mark.long
def test_more_engines_than_gpus_end_too(gpus, tmp_path):
    model = make_tiny_model(tmp_path / "model", context_tokens=1024)
    seen = gpus.run(finished, *rephrase(tmp_path, f"engine.transformers.model={model}", f"engine.copies={GPUS + 1}"))
    assert seen.claims[ENGINE] == 1 and len(rewrites(tmp_path)) == 5


def test_an_engine_that_fits_no_machine_is_refused(gpus, tmp_path):
    model = make_tiny_model(tmp_path / "model", context_tokens=1024)
    words = rephrase(tmp_path, f"engine.vllm.model={model}", f"engine.vllm.tensor_parallel_size={GPUS + 1}")
    with pytest.raises(
        NoCluster, match=f"an engine wants {GPUS + 1} GPUs on one machine, and no machine .* than {GPUS}"
    ):
        gpus.run(finished, *words)


def test_workers_of_a_training_have_a_gpu_each_and_talk_where_there_is_no_nccl(gpus, packed):
    words = [f"data.path={packed / 'packed'}", *TRAINED, f"workers.count={GPUS}", f"output.path={packed / 'reference'}"]
    seen = gpus.run(finished, "reference", *words)
    assert seen.claims["RayTrainWorker"] == 1 and UNUSED in seen.told
    assert verify(place_of(packed / "reference")).whole


def its_process(config: dict) -> None:
    with open(config["file"], "a") as file:
        file.write(f"{os.getpid()}\n")


def two_trainings_alone(file: str, gpus: bool) -> list[str]:
    """Run two one after the other, and give their processes."""
    from cluster.training import run_together

    for _ in range(2):
        run_together(its_process, {"file": file}, Claims(copies=1, gpus=gpus, together=True))
    return Path(file).read_text().split()


def test_a_process_that_had_a_gpu_does_nothing_after_that(gpus, tmp_path):
    first, second = gpus.run(two_trainings_alone, str(tmp_path / "on_gpus"), True).result
    assert first != second  # else it would keep the memory of its GPU, and stay on it
    first, second = gpus.run(two_trainings_alone, str(tmp_path / "on_processors"), False).result
    assert first == second


def test_a_training_with_more_workers_than_gpus_says_what_to_do(gpus, packed):
    words = [f"data.path={packed / 'packed'}", *TRAINED, f"workers.count={GPUS + 1}", f"output.path={packed / 'no'}"]
    with pytest.raises(NoCluster, match=r"want 3 GPUs, and the cluster has 2\. .*workers\.gpus=false"):
        gpus.run(finished, "reference", *words)


@pytest.mark.long
@pytest.mark.parametrize(("device", "claimed"), [("null", 1), ("cpu", 0)])
def test_references_claim_gpus_unless_they_are_told_to_stay_on_processors(gpus, packed, device, claimed):
    output = packed / f"scores-{device}"
    words = [f"data.path={packed / 'packed'}", f"reference.models=[{packed / 'model'}]", f"score.device={device}"]
    seen = gpus.run(finished, "score", *words, f"output.path={output}")
    assert seen.claims[SCORER] == claimed and (UNUSED in seen.told) == bool(claimed)
    assert verify(place_of(output)).whole


@pytest.mark.long
def test_dynamics_has_its_checkpoints_scored_on_gpus(gpus, packed):
    make_tiny_model(packed / "later", context_tokens=WINDOW, seed=1)
    words = [f"data.path={packed / 'packed'}", f"checkpoints=[{packed / 'model'},{packed / 'later'}]"]
    seen = gpus.run(finished, "dynamics", *words, f"output.path={packed / 'dynamics'}")
    assert seen.claims[SCORER] == 1 and verify(place_of(packed / "dynamics")).whole


@pytest.mark.long
def test_what_measures_rows_has_a_gpu(gpus, tmp_path):
    folder = make_pool(tmp_path / "pool", 20)
    words = ["selectors=[ifd]", f"scorer.path={folder / 'model'}", "budget.rows=4", "report.sample=4"]
    words += [f"input.path={folder / 'pool.jsonl'}", f"output.path={folder / 'out'}"]
    seen = gpus.run(finished, "select", *words)
    assert seen.claims[MEASURE] == 1 and UNUSED in seen.told
    assert verify(place_of(folder / "out")).whole


@pytest.mark.long
def test_students_are_evaluated_on_gpus(gpus, tmp_path):
    folder = make_pool(tmp_path / "pool", 20)
    words = [
        "selectors=[zip]",
        "random_seeds=2",
        "zip.k1=20",
        "zip.k2=8",
        "zip.k3=4",
        "budget.rows=4",
        "report.sample=4",
    ]
    words += [f"input.path={folder / 'pool.jsonl'}", f"evaluation.path={folder / 'target.jsonl'}"]
    words += [f"student.model.path={folder / 'model'}", "student.steps=1", "student.window=256", "student.batch.rows=2"]
    seen = gpus.run(finished, "compare", *words, f"output.path={folder / 'out'}")
    assert seen.claims["evaluate_student"] == 1
    assert UNUSED in seen.told and verify(place_of(folder / "out")).whole
