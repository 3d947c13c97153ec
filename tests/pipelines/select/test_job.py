import pickle
import subprocess
import sys

from pipelines.choose.selectors import SELECTORS
from pipelines.select.job import SelectJob


def test_a_job_travels_to_another_process(tmp_path):
    (tmp_path / "job").write_bytes(pickle.dumps(SelectJob(selectors=["zip"])))
    read = f"import pickle; print(pickle.load(open({str(tmp_path / 'job')!r}, 'rb')).selectors)"
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True)
    assert done.stdout == "['zip']\n"


def test_every_selector_has_its_block():
    job = SelectJob()
    assert all(type(getattr(job, name)) is entry.block_class() for name, entry in SELECTORS.items())
