"""Rephrase whole corpora against a local server that only pretends to be a model, and account for every document.

    python -m benchmarks.rephrase_corpora CORPUS [CORPUS ...]

For each corpus: documents in, by reading the files again without the pipeline; documents that became rows and documents that
were rejected while reading, with the reasons; whether the chunks of every document join back to it; whether ids are unique.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from operators.storage.config import InputConfig, StorageConfig
from operators.storage.listing import list_input, split_input
from operators.storage.reading import read_documents
from operators.table import ORIGINAL
from tests.fakes.openai_server import running_server


def read_again(corpus: str) -> dict[tuple[str, int], str | None]:
    """Give the text of every document by its place, null where there is none."""
    config, storage = InputConfig(path=corpus), StorageConfig()
    return {
        (row["source_file"], row["position"]): None if row["reason"] else row["text"]
        for split in split_input(list_input(config, storage), config)
        for piece in read_documents(split, config, storage)
        for row in piece.documents.select(["source_file", "position", "text", "reason"]).to_pylist()
    }


def rows(output: Path) -> Iterator[dict]:
    for folder in ("data", "rejected"):
        for path in (output / folder).glob("*.parquet"):
            for batch in pq.ParquetFile(path).iter_batches():
                yield from batch.to_pylist()


def rephrase(url: str, corpus: str, output: Path) -> None:
    words = [
        *(f"input.path={corpus}", "styles=[medium]", "mix.synthetic=1000", f"output.path={output}"),
        *(f"engine.openai.base_url={url}", "engine.openai.model=fake", "engine.openai.concurrency=256"),
    ]
    command = [sys.executable, "-m", "pipelines", "run", "rephrase", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def account(corpus: str, output: Path) -> None:
    """Compare the artifact with the documents that are there. Raises AssertionError where they differ."""
    expected = Counter(text for text in read_again(corpus).values())
    found, ids, rejected, chunks = Counter(), set(), Counter(), {}
    for row in rows(output):
        assert row["id"] not in ids, f"the id {row['id']} twice"
        ids.add(row["id"])
        if row["style"] == ORIGINAL:
            found[row["text"]] += 1
        elif row["style"] is None:
            found[None] += 1
            rejected[row["reason"]] += 1
            if row["reason"] == "broken_record":
                print(f"    broken record: {row['source_file']}: {row['detail'][:90]}")
        else:
            chunks.setdefault(row["document_id"], {}).setdefault(row["chunk_index"], []).append(row["source_text"])
    assert found == expected, (
        f"{sum((expected - found).values())} documents are missing, {sum((found - expected).values())} new"
    )
    # Copies of a document have one id: the n-th text of each of its chunks belongs to the n-th copy.
    joined = Counter(
        "".join(copy)
        for pieces in chunks.values()
        for copy in zip(*(sorted(pieces[i]) for i in sorted(pieces)), strict=True)
    )
    whole = sum(joined[text] for text in expected if text is not None)
    print(
        f"    documents read {sum(expected.values()):,} = kept {sum(found.values()) - found[None]:,} + rejected {found[None]:,}"
    )
    print(f"    rejected while reading: {dict(rejected)}")
    assert whole == sum(expected.values()) - expected[None], "a document's chunks do not join back to it"
    print(f"    documents whose chunks join back to them {whole:,}, rows {len(ids):,}, all ids unique")
    sources = json.loads((output / "_gristmill/summary.json").read_text())
    print(f"    why rewrites were rejected: {sources['rejected'].get('medium', {})}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+")
    with tempfile.TemporaryDirectory() as name, running_server() as server:
        for number, corpus in enumerate(parser.parse_args().corpus):
            output, began = Path(name) / str(number), time.monotonic()
            rephrase(server.url, corpus, output)
            print(f"{corpus}: {time.monotonic() - began:.0f} s", flush=True)
            account(corpus, output)


if __name__ == "__main__":
    main()
