"""The README's own code does what it says."""

import json
import re
import sys
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from operators.text.tokenizer import eos_of, load_tokenizer
from pipelines.ledger.proof.verify import verify
from pipelines.registry import PIPELINES
from pipelines.status import show_status
from tests.pipelines.chain import make_packed, run

README = Path(__file__).parents[1] / "README.md"


def loaded(folder: Path, code: str, name: str):
    """Load code as a module that Ray's workers do not know by name, so that they are handed what is in it."""
    file = folder / f"tally_{name}.py"
    file.write_text(code)
    spec = spec_from_file_location(file.stem, file)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("ray_session")
def test_the_pipeline_that_the_readme_shows_runs_and_resumes(tmp_path, monkeypatch):
    blocks = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL))
    init, tally = (loaded(tmp_path, blocks[f"pipelines/tally/{name}.py"], name) for name in ("__init__", "pipeline"))
    monkeypatch.setitem(sys.modules, "pipelines.tally.pipeline", tally)
    monkeypatch.setitem(PIPELINES, "tally", init.ENTRIES["tally"])
    made = make_packed(tmp_path / "made")
    words = [f"input.path={made / 'corpus.jsonl'}", f"pack.tokenizer={made / 'model'}", "pack.window=64"]
    words.append(f"output.path={tmp_path / 'counts'}")
    place = run("tally", *words)
    (part,) = place.names("data")
    counts = pq.read_table(place.open(part))
    tokenizer = load_tokenizer(str(made / "model"))
    texts = [json.loads(line)["text"] for line in (made / "corpus.jsonl").read_text().splitlines()]
    expected = Counter(token for text in texts for token in tokenizer.encode(text, add_special_tokens=False).ids)
    expected[tokenizer.token_to_id(eos_of(str(made / "model")))] += len(texts)
    assert dict(zip(map(int, counts["id"].to_pylist()), counts["count"].to_pylist(), strict=True)) == expected
    assert verify(place).whole
    told = []
    show_status(place, told.append)
    assert any(line.startswith(str(tmp_path / "counts")) and "complete" in line for line in told)
    said = []
    run("tally", *words, say=said.append)
    assert any("nothing is left to do" in line for line in said) and place.names("data") == [part]
