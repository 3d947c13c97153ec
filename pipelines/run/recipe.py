"""What makes a run what it is, as its artifact keeps it."""

from collections.abc import Collection
from importlib.metadata import version
from typing import Any

from pipelines.settings import identity, resolved


def described(
    name: str,
    job: Any,
    contents: dict,
    input: dict,
    splits: list[str],
    all_at_once: bool = False,
    asking: Collection[str] = (),
) -> dict[str, Any]:
    """Write down what makes a run what it is (see Pipeline.recipe). `contents` decides what comes out as the settings do."""
    return {
        "pipeline": name,
        "fingerprint": identity(job) | contents | {"pipeline": name, "version of gristmill": version("gristmill")},
        "config": resolved(job),
        "input": input,
        "splits": splits,
        "all_at_once": all_at_once,
        "asking": list(asking),
    }
