"""Selectors as a run names them: NAME, or NAME:KEY=VALUE:... for one with settings of its own."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from operators.errors import BadRequest
from operators.select.selectors.base import Selector
from pipelines.choose.selectors import SELECTORS, SelectorEntry


@dataclass(frozen=True)
class SelectorSpec:
    """A selector as a run names it: `label` names its folder, `block` are its settings with what differs applied."""

    label: str
    name: str
    block: Any

    @property
    def entry(self) -> SelectorEntry:
        return SELECTORS[self.name]

    @property
    def asks(self) -> tuple[str, ...]:
        return self.entry.selector_class().asks

    def build(self, inputs: dict[str, Any]) -> Selector:
        """Make the selector of its block and of what it asks for among the inputs; what is not given is null."""
        return self.entry.selector_class()(self.block, **{name: inputs.get(name) for name in self.asks})


def spec_of(text: str, blocks: Any) -> SelectorSpec:
    """Read NAME or NAME:KEY=VALUE:..., with the settings of the job's block. Raises BadRequest for what is unknown."""
    name, *differing = text.split(":")
    if name not in SELECTORS:
        near = get_close_matches(name, SELECTORS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise BadRequest(f"no selector named {name!r}.{hint} There are: {', '.join(SELECTORS)}.")
    try:
        block = OmegaConf.merge(OmegaConf.structured(getattr(blocks, name)), OmegaConf.from_dotlist(differing))
        return SelectorSpec(re.sub(r"[^\w.]+", "-", text), name, OmegaConf.to_object(block))
    except OmegaConfBaseException as error:
        raise BadRequest(f"selectors: {text!r}: {str(error).splitlines()[0]}. See {name}.* in --help.") from error
