"""Peak memory of driver and workers on a corpus and on one eight times as large.

    python -m benchmarks.memory

Memory is what a process holds alone (USS), sampled twice a second: the largest single process that runs our code, and all
processes of the run together, Ray's own included. The object store is shared memory and bounded by its own setting.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.processes import watch
from benchmarks.rephrase_endpoint import pipeline, write_documents
from tests.fakes.openai_server import running_server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=5_000)
    arguments = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as name, running_server(latency=0.05) as server:
        for times in (1, 8):
            documents = Path(name) / f"x{times}.jsonl"
            write_documents(documents, times * arguments.documents)
            command = [*pipeline(server.url, documents, Path(name) / f"out{times}"), "cluster.object_store_mb=200"]
            usage = watch(command, memory=True)
            largest = sorted(usage.peak_by_process.items(), key=lambda item: -item[1])[:5]
            peaks.append(usage.peak_total)
            print(
                f"{times}x: {times * arguments.documents:,} documents, {usage.wall_s:.0f} s, together {_mib(usage.peak_total)}"
            )
            for pid, peak in largest:
                print(f"    {_mib(peak)}  {usage.names[pid]}", flush=True)
    print(f"8x holds {peaks[1] / peaks[0]:.2f} times the memory of 1x")


def _mib(size: int) -> str:
    return f"{size / 2**20:7,.0f} MiB"


if __name__ == "__main__":
    main()
