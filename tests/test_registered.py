"""What lies in a folder of a contract is registered, or it would never be asked for; and what is registered is there."""

from pathlib import Path

import pytest

from operators.learn.losses import LOSSES
from operators.rewrite.rules import ORDER
from operators.storage.registry import FORMATS
from operators.text.extract import EXTRACTORS
from pipelines.choose.selectors import SELECTORS
from pipelines.registry import PIPELINES, ROOMS

ROOT = Path(__file__).resolve().parents[1]
# Other tests of this process may have added one of their own.
OUR_FORMATS = [address for address in FORMATS.values() if address.startswith("operators.")]
TABLES = {  # folder: modules that are registered, and those that only serve them
    "operators/learn/losses": ([entry.address for entry in LOSSES.values()], {"config", "fused", "kept_tokens"}),
    "operators/rewrite/rules": (ORDER, set()),
    "operators/text/extract": (EXTRACTORS, {"charset", "process"}),
    "operators/storage/formats": (
        OUR_FORMATS,
        {
            "batch_rows",
            "json_items",
            "json_layout",
            "json_mend",
            "json_scan",
            "json_shape",
            "line_records",
            "media_type",
            "response",
        },
    ),
    "operators/select/selectors": ([entry.selector for entry in SELECTORS.values()], set()),
}


@pytest.mark.parametrize("folder", TABLES)
def test_every_file_of_a_contract_is_registered(folder):
    registered, serving = TABLES[folder]
    modules = {address.partition(":")[0].rpartition(".")[2] for address in registered}
    there = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__", "base"} - serving
    assert modules == there, f"registered and files of {folder} differ: {sorted(modules ^ there)}"


def test_every_pipeline_folder_is_registered():
    folders = {path.parent.name for path in (ROOT / "pipelines").glob("*/pipeline.py")} - {"run"}
    assert folders == {room.__name__.rpartition(".")[2] for room in ROOMS}
    assert all(entry.job_class() and entry.pipeline_class() for entry in PIPELINES.values())
