"""From a YAML file and `key=value` words to a checked dataclass."""

import difflib
import re
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from operators.errors import BadRequest
from pipelines.settings import describe

T = TypeVar("T")


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
