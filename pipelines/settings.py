"""The settings of a config dataclass: what there is, what of it is identity, and how it is saved."""

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING, OmegaConf

from pipelines.secrets import without_secrets


@dataclass(frozen=True)
class Setting:
    """One leaf of a config: its dotted key, type, default and doc line, and whether it decides the content.

    `placement` names the keys of a mapping that do not, where the others do.
    """

    key: str
    type: str
    default: Any
    doc: str
    identity: bool
    placement: frozenset[str]


def describe(kind: type, prefix: str = "", identity: bool = True, given: Any = None) -> Iterator[Setting]:
    """List the settings of a config dataclass, blocks flattened to dotted keys; `given` is its owner's default for it."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint, key = hints[field.name], prefix + field.name
        own = identity and field.metadata.get("identity", True)
        block = next((arm for arm in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(arm)), None)
        if block:
            yield from describe(block, f"{key}.", own, getattr(given, field.name, None) or _default(field))
        else:
            placement = frozenset(field.metadata.get("placement", ()))
            default = getattr(given, field.name, None) if dataclasses.is_dataclass(given) else _default(field)
            yield Setting(key, _type_name(hint), default, field.metadata.get("doc", ""), own, placement)


def identity(config: Any) -> dict[str, Any]:
    """Give what decides the content of a run, by dotted key: every setting that is not marked as mere placement.

    Secrets are struck out, as in `resolved`: another key for the same endpoint is no other run.
    """
    flat = {}
    for setting in describe(type(config)):
        if setting.identity:
            value: Any = config
            for name in setting.key.split("."):
                value = getattr(value, name, None)
            if isinstance(value, dict):
                value = {name: item for name, item in value.items() if name not in setting.placement}
            flat[setting.key] = without_secrets(value)
    return flat


def resolved(config: Any) -> dict:
    """Give the whole config as plain values, as it is saved with the run, secrets struck out."""
    return without_secrets(OmegaConf.to_container(OmegaConf.structured(config), resolve=True))


def _type_name(hint: Any) -> str:
    return getattr(hint, "__name__", None) if isinstance(hint, type) else str(hint).replace("typing.", "")


def _default(field: dataclasses.Field) -> Any:
    if field.default is not dataclasses.MISSING:
        return None if field.default == MISSING else field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else None
