"""Main text by trafilatura: rules and fallbacks made for precision. Source: Barbaresi 2021, "Trafilatura"."""

from functools import partial

from operators.text.extract.base import MainText


def load() -> MainText:
    from trafilatura import extract

    return partial(extract, include_comments=False)
