"""From a YAML file and `key=value` words to a checked dataclass, and back to what `--help` and the artifact show."""

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from operators.errors import BadRequest

T = TypeVar("T")


def compose(kind: type[T], file: str | None, overrides: list[str]) -> T:
    """Fill a dataclass from its defaults, then a YAML file, then `key=value` words; later ones win.

    Raises BadRequest for an unknown key (with the nearest known ones), a value of the wrong type, a broken file.
    """
    config = OmegaConf.structured(kind)
    known = [setting.key for setting in describe(kind)]
    for source, values in ((file, _load(file) if file else {}), ("the command line", _parse(overrides))):
        try:
            config = OmegaConf.merge(config, values)
        except OmegaConfBaseException as error:
            raise BadRequest(_explain(error, source, known)) from error
    return OmegaConf.to_object(config)


@dataclass(frozen=True)
class Setting:
    """One leaf of a config: its dotted key, type, default and doc line, and whether it decides the content."""

    key: str
    type: str
    default: Any
    doc: str
    identity: bool


def describe(kind: type, prefix: str = "", identity: bool = True) -> Iterator[Setting]:
    """List the settings of a config dataclass, blocks flattened to dotted keys."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint, key = hints[field.name], prefix + field.name
        own = identity and field.metadata.get("identity", True)
        block = next((arm for arm in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(arm)), None)
        if block:
            yield from describe(block, f"{key}.", own)
        else:
            yield Setting(key, _type_name(hint), _default(field), field.metadata.get("doc", ""), own)


def identity(config: Any) -> dict[str, Any]:
    """Give what decides the content of a run, by dotted key: every setting that is not marked as mere placement."""
    flat = {}
    for setting in describe(type(config)):
        if setting.identity:
            value: Any = config
            for name in setting.key.split("."):
                value = getattr(value, name, None)
            flat[setting.key] = value
    return flat


def resolved(config: Any) -> dict:
    """Give the whole config as plain values, as it is saved with the run; a password in an address is struck out."""
    return _without_passwords(OmegaConf.to_container(OmegaConf.structured(config), resolve=True))


def _without_passwords(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_passwords(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_passwords(item) for item in value]
    return re.sub(r"(?<=://)[^/@\s]*@", "***@", value) if isinstance(value, str) else value


def _load(file: str) -> Any:
    if not Path(file).is_file():
        raise BadRequest(f"--config {file}: there is no such file.")
    try:
        loaded = OmegaConf.load(file)
    except Exception as error:  # yaml's errors have no common base with OmegaConf's
        raise BadRequest(f"--config {file} is not valid YAML: {error}") from error
    if not OmegaConf.is_dict(loaded):
        raise BadRequest(f"--config {file} holds no `key: value` lines.")
    return loaded


def _parse(overrides: list[str]) -> Any:
    for word in overrides:
        if "=" not in word or word.startswith("-"):
            raise BadRequest(f"{word!r} is not of the form key=value. See --help for the keys.")
    try:
        return OmegaConf.from_dotlist(overrides)
    except Exception as error:  # yaml's errors again
        raise BadRequest(f"cannot read {' '.join(overrides)!r}: {error}") from error


def _explain(error: OmegaConfBaseException, source: str | None, known: list[str]) -> str:
    key = getattr(error, "full_key", None) or getattr(error, "key", None) or "?"
    message = str(getattr(error, "msg", None) or error).splitlines()[0]
    if "not in" not in message and "No such" not in message and "not a subclass" not in message:
        return f"{source}: {key}: {message}"
    blocks = {known_key.rsplit(".", 1)[0] for known_key in known if "." in known_key}
    near = difflib.get_close_matches(str(key), [*known, *blocks], n=3, cutoff=0.5)
    advice = f" Did you mean {' or '.join(near)}?" if near else " See --help for the keys."
    return f"{source}: there is no setting {key!r}.{advice}"


def _type_name(hint: Any) -> str:
    return getattr(hint, "__name__", None) if isinstance(hint, type) else str(hint).replace("typing.", "")


def _default(field: dataclasses.Field) -> Any:
    if field.default is not dataclasses.MISSING:
        return None if field.default == MISSING else field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else None
