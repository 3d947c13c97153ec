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

SECRET = re.compile(
    r"^(token|key)$|(hf|api|auth|access|bearer|session|refresh|private)[_-]?(token|key)s?$|secret|passwo?r?d|"
    r"authorization$|cookie$|credentials?$",
    re.I,
)
STRUCK_OUT = "***"


def compose(kind: type[T], file: str | None, overrides: list[str]) -> T:
    """Fill a dataclass from its defaults, then a YAML file, then `key=value` words; later ones win.

    Raises BadRequest for an unknown key (with the nearest known ones), a value of the wrong type, a broken file.
    """
    config = OmegaConf.structured(kind)
    types = {setting.key: setting.type for setting in describe(kind)}
    source = file
    try:
        config = OmegaConf.merge(config, _load(file) if file else {})
        source = "the command line"
        config = OmegaConf.merge(config, *(_parse(word, types) for word in overrides))
        source = "the settings"
        return OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise BadRequest(_explain(error, source, list(types))) from error


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


def without_secrets(value: Any) -> Any:
    """Strike out what may open a door: values under a name as `hf_token`, passwords and queries in web addresses."""
    if isinstance(value, dict):
        return {key: STRUCK_OUT if _hides(key, item) else without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    if isinstance(value, str):
        value = re.sub(r"(?<=://)[^/\s]*@", f"{STRUCK_OUT}@", value)
        return re.sub(r"^(https?://[^\s?]*\?)\S*$", rf"\1{STRUCK_OUT}", value)
    return value


def _hides(key: Any, value: Any) -> bool:
    return bool(SECRET.search(str(key))) and value is not None


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


def _parse(word: str, types: dict[str, str]) -> Any:
    """Read one `key=value`: text as it stands, a list with or without its brackets, all else as YAML."""
    key, equals, value = word.partition("=")
    if not equals or not re.fullmatch(r"\w[\w.-]*", key):
        raise BadRequest(f"{word!r} is not of the form key=value. See --help for the keys.")
    kind = types.get(key, "")
    bracketed = value.startswith("[")
    try:
        if kind == "list[str]" and not bracketed:
            return _at(key, [item.strip() for item in value.split(",")] if value else [])
        if kind == "str" or (kind in ("Any", "str | None") and not bracketed and value != "null"):
            return _at(key, value)
        return OmegaConf.from_dotlist([word])
    except Exception as error:  # yaml's errors have no common base with OmegaConf's
        raise BadRequest(f"cannot read {word!r}: {error}") from error


def _at(key: str, value: Any) -> Any:
    config = OmegaConf.create({})
    OmegaConf.update(config, key, value)
    return config


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
