"""Settings that hold for the whole test run: a small, quiet Ray, and no look-ups on a model hub."""

import os
import signal
import sys
from pathlib import Path

import pytest

os.environ.update(
    {
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_DATA_PARQUET_FOOTER_NUM_ACTORS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "VLLM_CPU_KVCACHE_SPACE": "1",
    }
)

# A shell starts what runs in its background deaf to Ctrl-C, and all that the tests start would be so too.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_runtest_logreport(report):
    """Tell why a test failed at once: a later one that hangs for good takes the summary with it."""
    if report.failed:
        print(f"\n{report.nodeid}\n{report.longreprtext[-4000:]}", file=sys.stderr)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real corpora beside the repository; they are not part of it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real corpora (shared/data beside the repository) are not on this machine")
    return SHARED_DATA


@pytest.fixture(scope="session")
def s3():
    """An S3 service on this machine; the bucket `corpus` is there and empty."""
    from tests.fakes.s3 import running_s3

    with running_s3() as storage:
        yield storage


@pytest.fixture(scope="session")
def ray_session(s3):
    """One small Ray for the whole run. The storage comes first: Ray hands its keys on to the processes that it starts."""
    from cluster.session import ClusterConfig, session

    with session(ClusterConfig(cpus=2, object_store_mb=150)):
        yield
