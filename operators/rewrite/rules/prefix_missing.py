"""An answer without the opening line or the markers that its prompt asks for: the prompt's own check says so."""

from operators.rewrite.rules.base import Drop, JudgedRewrite


def prefix_missing(rewrite: JudgedRewrite) -> str | None:
    """Give the detail of the prompt's check."""
    return rewrite.failed("prefix_missing")


RULE = Drop("drop an answer without its prompt's opening line or markers", lambda config: prefix_missing)
