"""The contract of an extractor: a module whose `load` gives what finds the main text of a page.

`load` imports the library, which is slow, in the process that extracts. What it gives takes a decoded page and returns its main
text, null or empty where there is none. It may raise, loop or crash: that costs the page alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module

from operators.errors import BadRequest
from operators.settings import setting

MainText = Callable[[str], str | None]

# Modules of this folder. To add one, write it and name it here.
EXTRACTORS = ("trafilatura", "resiliparse")


class NoText(Exception):
    """A page came to nothing, and not because it has no text. `reason` is a word for the reason column, the message the cause.

    deadline, crash    it hung or ended the process that extracts
    too_large          it was not even tried
    no_main_text       the extractor raised
    """

    def __init__(self, reason: str, cause: str):
        super().__init__(cause)
        self.reason = reason


class ExtractorFailure(RuntimeError):
    """The process that extracts cannot be started: no page is to blame."""


@dataclass
class ExtractConfig:
    """How the main text of a web page is found."""

    by: str = setting(
        "trafilatura", f"what finds the main text of a web page: {' or '.join(EXTRACTORS)}, which is many times as fast"
    )

    def __post_init__(self):
        if self.by not in EXTRACTORS:
            near = get_close_matches(str(self.by), EXTRACTORS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadRequest(f"extract.by is {self.by!r}. There are: {', '.join(EXTRACTORS)}.{hint}")


DEFAULT = ExtractConfig()


def load(name: str) -> MainText:
    """Load an extractor."""
    return import_module(f"operators.text.extract.{name}").load()
