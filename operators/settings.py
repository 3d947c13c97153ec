"""How a config field is declared: its default and, beside it, the line that `--help` prints."""

import copy
from dataclasses import field
from typing import Any


def setting(default: Any, doc: str) -> Any:
    """Declare a dataclass field with a default and a one-line description (with its unit, where it has one)."""
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy.deepcopy(default), metadata={"doc": doc})
    return field(default=default, metadata={"doc": doc})
