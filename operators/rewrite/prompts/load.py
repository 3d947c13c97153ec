"""Reading prompt files: the built-in ones by name, a user's by path."""

import difflib
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import yaml

from operators.errors import BadRequest
from operators.rewrite.prompts.base import SLOT, Prompt
from operators.rewrite.prompts.parsers import PARSERS

FOLDER = Path(__file__).parent


def _number(least: float, most: float) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int | float) and least <= value <= most


def _whole(least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and value >= least


LIMITS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "summary": ("a line of text", lambda value: isinstance(value, str)),
    "system": ("a text", lambda value: isinstance(value, str)),
    "max_tokens": ("a whole number of tokens from 1", _whole(1)),
    "min_source_tokens": ("a whole number of tokens from 0", _whole(0)),
    "min_completion_tokens": ("a whole number of tokens from 0", _whole(0)),
    "min_length_ratio": ("a number from 0", _number(0, float("inf"))),
    "max_length_ratio": ("a number from 0", _number(0, float("inf"))),
    "required_prefix": ("a line of text or null", lambda value: value is None or isinstance(value, str)),
    "stop": ("a list of texts", lambda value: isinstance(value, list) and all(isinstance(text, str) for text in value)),
    "parser": (f"one of {', '.join(PARSERS)}", lambda value: isinstance(value, str) and value in PARSERS),
    "temperature": ("a number from 0 to 2", _number(0, 2)),
    "top_p": ("a number above 0 and up to 1", _number(1e-6, 1)),
}


def prompt_names() -> list[str]:
    """List the built-in prompts."""
    return sorted(path.stem for path in FOLDER.glob("*.md"))


def load_prompt(name_or_path: str) -> Prompt:
    """Load a built-in prompt by name, or a user's by the path of its .md file.

    Raises BadRequest for an unknown name, a file that is not there or is not UTF-8, a slot missing or there twice, and
    settings that are unknown or of the wrong kind.
    """
    name = str(name_or_path)
    if "/" in name or name.endswith(".md"):
        path = _own_file(name)
    elif name in prompt_names():
        path = FOLDER / f"{name}.md"
    else:
        near = difflib.get_close_matches(name, prompt_names(), n=1)
        raise BadRequest(
            f"no prompt named {name!r}.{f' Did you mean {near[0]!r}?' if near else ''} There are: "
            f"{', '.join(prompt_names())}. To add one, write a file and give its path (it must end in .md)."
        )
    return _read(path)


def _own_file(name: str) -> Path:
    from operators.table import ORIGINAL  # late, because `gristmill list` must not wait for Arrow

    path = Path(name).expanduser()
    if not path.is_file():
        raise BadRequest(f"there is no prompt file {name!r}. Give the path of a .md file with a {SLOT} slot.")
    if path.stem == ORIGINAL:
        raise BadRequest(
            f"the prompt {path} would make the style {ORIGINAL!r}, the name of real text. Rename the file."
        )
    return path


def _read(path: Path) -> Prompt:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the prompt {path} is not UTF-8 text: {error}.") from error
    head, body = _split(content, path)
    if body.count(SLOT) != 1:
        raise BadRequest(
            f"the prompt {path} has {body.count(SLOT)} {SLOT} slots. Write {SLOT} once, where the text goes."
        )
    digest = blake2b(content.encode(), digest_size=8).hexdigest()
    return Prompt(name=path.stem, body=body.strip(), identity=digest, **_settings(head, path))


def _split(content: str, path: Path) -> tuple[str, str]:
    if not content.startswith("---\n"):
        return "", content
    head, rule, body = content[4:].partition("\n---\n")
    if not rule:
        raise BadRequest(f"the settings of the prompt {path} have no end. Close them with a line of three dashes: ---")
    return head, body


def _settings(head: str, path: Path) -> dict:
    try:
        loaded = yaml.load(head, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}  # the C reader is 8 times as fast
    except yaml.YAMLError as error:
        raise BadRequest(f"the settings of the prompt {path} are not valid YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise BadRequest(
            f"the settings of the prompt {path} are not `key: value` lines. There are: {', '.join(LIMITS)}."
        )
    return {key: _setting(key, value, path) for key, value in loaded.items()}


def _setting(key: str, value: object, path: Path) -> object:
    if key not in LIMITS:
        near = difflib.get_close_matches(str(key), LIMITS, n=1)
        advice = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(LIMITS)}."
        raise BadRequest(f"the prompt {path} has no setting {key!r}. {advice}")
    allowed, fits = LIMITS[key]
    if isinstance(value, bool) or not fits(value):
        raise BadRequest(f"the prompt {path} sets {key} to {value!r}. It must be {allowed}.")
    return tuple(value) if isinstance(value, list) else value
