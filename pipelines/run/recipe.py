"""What makes a run what it is, as its artifact keeps it."""

import json
from hashlib import blake2b
from importlib.metadata import version
from typing import Any

from pipelines.settings import identity, resolved


def digest(recipe: dict[str, Any]) -> str:
    """Name what a run will make, by what decides it: 16 hexadecimal digits."""
    deciding = json.dumps([recipe["fingerprint"], recipe["input"], recipe["splits"]], sort_keys=True)
    return blake2b(deciding.encode(), digest_size=8).hexdigest()


def described(
    name: str, job: Any, contents: dict, input: dict, splits: list[str], all_at_once: bool = False
) -> dict[str, Any]:
    """Write down what makes a run what it is (see Pipeline.recipe). `contents` decides what comes out as the settings do."""
    return {
        "pipeline": name,
        "fingerprint": identity(job) | contents | {"pipeline": name, "version of gristmill": version("gristmill")},
        "config": resolved(job),
        "input": input,
        "splits": splits,
        "all_at_once": all_at_once,
    }
