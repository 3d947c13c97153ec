"""The extractors beside each other on real web pages: how fast, and what text they keep.

    python -m benchmarks.extract CORPUS [CORPUS ...]

A corpus is a folder or a file of WARC or ARC. Each different page with status 200 is extracted once by each extractor, in a
process of its own as in a run. CPU seconds are those of that process, after its start; words are compared as bags, page by page.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator

import psutil

from operators.storage.config import InputConfig, StorageConfig
from operators.storage.filesystem import open_reading
from operators.storage.formats.media_type import media_type
from operators.storage.formats.response import BadResponse, parse_response
from operators.storage.formats.warc import HTML, Warc
from operators.storage.frames import Frame
from operators.storage.listing import list_input, split_input
from operators.storage.watched import Watched
from operators.text.extract import EXTRACTORS, NoText
from operators.text.extract.process import Process, process_of

Page = tuple[bytes, str]  # HTML, and the charset that the server named


def pages(corpus: str) -> Iterator[Page]:
    """Give the web pages of a corpus."""
    config, storage = InputConfig(path=corpus, format="warc"), StorageConfig()
    for split in split_input(list_input(config, storage), config):
        with open_reading(split.file.url, storage) as handle:
            for record in Warc(split, config).records(Watched(handle)):
                if isinstance(record.payload, Frame) and record.payload.head.kind == "response":
                    yield from page_of(record.payload.block)


def page_of(block: bytes) -> Iterator[Page]:
    try:
        response = parse_response(block)
    except BadResponse:
        return
    mime, charset = media_type(response.fields.get("content-type", ""))
    if response.status == 200 and mime in HTML and response.body.strip():
        yield response.body, charset or ""


def measured(by: str, found: list[Page]) -> tuple[list[str], float, float]:
    """Give the texts of pages, and the CPU and wall seconds that they took."""
    process = process_of(by)
    text_of(process, found[0])  # it is started, and has loaded what it loads at its first page
    child = psutil.Process(process.running.pid)
    cpu, began = sum(child.cpu_times()[:2]), time.monotonic()
    texts = [text_of(process, page) for page in found]
    return texts, sum(child.cpu_times()[:2]) - cpu, time.monotonic() - began


def text_of(process: Process, page: Page) -> str:
    try:
        return process.extract(*page) or ""
    except NoText:
        return ""


def words(texts: list[str]) -> list[Counter]:
    return [Counter(text.split()) for text in texts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+")
    found = list(dict.fromkeys(page for corpus in parser.parse_args().corpora for page in pages(corpus)))
    size = sum(len(html) for html, _ in found) / 2**20
    print(f"{len(found)} different pages, {size:.1f} MiB of HTML")
    results = {by: measured(by, found) for by in EXTRACTORS}
    bags = {by: words(texts) for by, (texts, *_) in results.items()}
    print("| extractor | MiB/s (CPU) | MiB/s (wall) | pages with text | words | words that the other keeps too |")
    for by, (texts, cpu, wall) in results.items():
        (other,) = (bags[name] for name in EXTRACTORS if name != by)
        total = sum(bag.total() for bag in bags[by])
        shared = sum((one & two).total() for one, two in zip(bags[by], other, strict=True))
        kept = sum(bool(text) for text in texts)
        print(f"| {by} | {size / cpu:.1f} | {size / wall:.1f} | {kept} | {total:,} | {shared / total:.1%} |")


if __name__ == "__main__":
    main()
