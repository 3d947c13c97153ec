"""Selectors as a run names them: NAME, or NAME:KEY=VALUE:... for one with settings of its own."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import signature
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from operators.errors import BadRequest
from operators.select.selectors.base import Selector
from pipelines.choose.selectors import SELECTORS, Entry


@dataclass(frozen=True)
class Named:
    """A selector as a run names it: `label` names its folder, `block` are its settings with what differs applied."""

    label: str
    name: str
    block: Any

    @property
    def entry(self) -> Entry:
        return SELECTORS[self.name]


def named(text: str, blocks: Any) -> Named:
    """Read NAME or NAME:KEY=VALUE:..., with the settings of the job's block. Raises BadRequest for what is unknown."""
    name, *differing = text.split(":")
    if name not in SELECTORS:
        near = get_close_matches(name, SELECTORS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise BadRequest(f"no selector named {name!r}.{hint} There are: {', '.join(SELECTORS)}.")
    try:
        block = OmegaConf.merge(OmegaConf.structured(getattr(blocks, name)), OmegaConf.from_dotlist(differing))
        return Named(re.sub(r"[^\w.]+", "-", text), name, OmegaConf.to_object(block))
    except OmegaConfBaseException as error:
        raise BadRequest(f"selectors: {text!r}: {str(error).splitlines()[0]}. See {name}.* in --help.") from error


def needs_of(entry: Entry) -> set[str]:
    """Name what a selector is made of beside its block: the names of its constructor's other arguments."""
    return set(list(signature(entry.selector_class()).parameters)[1:])


def build(selector: Named, given: dict[str, Any]) -> Selector:
    """Make a selector of its block and of what it asks for among `given`; what is not given is null."""
    beside = {name: given.get(name) for name in needs_of(selector.entry)}
    return selector.entry.selector_class()(selector.block, **beside)
