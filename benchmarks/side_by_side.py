"""Students of `compare` one after the other, and side by side: on two logical GPUs of a node, and on the CPUs of two nodes.

    python -m benchmarks.side_by_side

The cluster is Ray's own of several nodes on one machine (ray.cluster_utils). Where a student claims all that there is, they are
trained one after the other; where the cluster has twice as much, two at a time. Wall time from the first student's begin to the
last one's end, as the run tells it. A student has one thread in all cases, so two cores are enough for two.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CLUSTERS = {  # CPUs and GPUs of each node
    "one node, 1 CPU": [(1, 0)],
    "two nodes, 1 CPU each": [(1, 0), (1, 0)],
    "one node, 2 CPUs, 1 GPU": [(2, 1)],
    "one node, 2 CPUs, 2 GPUs": [(2, 2)],
}
ROWS, STUDENTS = 64, 4
WORDS = "river mill stone wheel bread flour frost grain water spring merchant village pound table garden".split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--cluster", choices=CLUSTERS, help="measure on this one alone, in this process")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.cluster:
        print(json.dumps(measured(CLUSTERS[given.cluster], given.folder, given.steps)))
        return
    for cluster in CLUSTERS:
        with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder:
            command = [sys.executable, "-m", "benchmarks.side_by_side", "--cluster", cluster, "--folder", folder]
            out = subprocess.run(
                [*command, "--steps", str(given.steps)], capture_output=True, text=True, check=True
            ).stdout
            times = json.loads(out.strip().splitlines()[-1])
            print(f"{cluster:26} students {times['students']:5.1f} s, the whole run {times['run']:5.1f} s")


def measured(nodes: list[tuple[int, int]], folder: Path, steps: int) -> dict[str, float]:
    """Run a comparison of two students on a cluster of some nodes; give seconds."""
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_DATA_DISABLE_PROGRESS_BARS": "1", "HF_HUB_OFFLINE": "1"}
    import ray
    from ray.cluster_utils import Cluster

    from pipelines.compare.job import CompareJob
    from pipelines.compare.pipeline import Compare
    from pipelines.config import compose
    from pipelines.run.execute import run_pipeline

    words = _settings(folder, steps)
    cluster = Cluster()
    for cpus, gpus in nodes:
        cluster.add_node(num_cpus=cpus, num_gpus=gpus, object_store_memory=100 * 2**20)
    ray.init(address=cluster.address, log_to_driver=False)
    began, ends = time.monotonic(), {}
    compare = Compare(compose(CompareJob, None, words))
    run_pipeline(compare, say=lambda line: ends.setdefault(line.split(" · ")[0], time.monotonic()), tell=False)
    whole = time.monotonic() - began
    trained = [at for line, at in ends.items() if "-student-" in line and not line.endswith("rows")]
    packed = [at for line, at in ends.items() if "-student-" in line and line.endswith("rows")]
    assert len(trained) == STUDENTS
    ray.shutdown()
    cluster.shutdown()
    return {"students": max(trained) - min(packed), "run": whole}


def _settings(folder: Path, steps: int) -> list[str]:
    model = _make_model(folder / "model")
    for name, count, seed in (("pool", ROWS, 0), ("evaluation", 4, 1)):
        dice = random.Random(seed)
        said = [" ".join(dice.choices(WORDS, k=20)) for _ in range(2 * count)]
        rows = [{"id": f"{name}-{n}", "instruction": said[2 * n], "output": said[2 * n + 1]} for n in range(count)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    student = [f"model.path={model}", "window=256", f"steps={steps}", "batch.rows=4"]
    return [
        f"input.path={folder / 'pool.jsonl'}",
        f"evaluation.path={folder / 'evaluation.jsonl'}",
        *(f"student.{word}" for word in student),
        f"random_seeds={STUDENTS - 1}",
        "selectors=[length]",
        "budget.rows=32",
        f"scorer.path={model}",
        f"lengths.tokenizer={model}",
        f"output.path={folder / 'comparison'}",
    ]


def _make_model(folder: Path) -> Path:
    """Make a Llama with random weights, 3 million of them, and a tokenizer with an entry for each word."""
    bpe = Tokenizer(models.WordLevel({word: number for number, word in enumerate([*WORDS, "?"])}, unk_token="?"))
    bpe.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=bpe, unk_token="?", eos_token="?").save_pretrained(folder)
    shape = {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 4, "num_attention_heads": 4}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(WORDS) + 1, **shape)).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
