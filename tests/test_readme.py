"""The README's own code does what it says."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines.config import compose
from pipelines.ledger.proof.verify import verify
from pipelines.run.execute import run_pipeline
from tests.pipelines.chain import make_packed, silent

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.usefixtures("ray_session")
def test_the_pipeline_that_the_readme_shows_runs_and_resumes(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "tally.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    spec = spec_from_file_location("tally", tmp_path / "tally.py")
    tally = module_from_spec(spec)
    spec.loader.exec_module(tally)
    made = make_packed(tmp_path / "made")
    words = [f"input.path={made / 'corpus.jsonl'}", f"pack.tokenizer={made / 'model'}", "pack.window=64"]
    job = compose(tally.TallyJob, None, [*words, f"output.path={tmp_path / 'counts'}"])
    place = run_pipeline(tally.Tally(job), say=silent, tell=False)
    (part,) = place.names("data")
    counts = pq.read_table(place.open(part))
    assert pc.sum(counts["count"]).as_py() > 1000 and len(set(counts["id"].to_pylist())) == len(counts)
    assert verify(place).whole
    said = []
    run_pipeline(tally.Tally(job), say=said.append, tell=False)
    assert any("nothing is left to do" in line for line in said) and place.names("data") == [part]
