"""How a config field is declared: its default and, beside it, the line that `--help` prints."""

import copy
from collections.abc import Collection
from dataclasses import field
from typing import Any


def setting(default: Any, doc: str, *, identity: bool = True, placement: Collection[str] = ()) -> Any:
    """Declare a dataclass field with a default and a one-line description (with its unit, where it has one).

    `identity=False` marks a field that decides only where or how fast a run goes (copies, timeouts, addresses), never what
    comes out: it stays out of the artifact's fingerprint, so it may change between a run and its resumption. `placement` names
    the keys of a mapping of which this is true.
    """
    metadata = {"doc": doc, "identity": identity, "placement": placement}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)
