"""An answer that is not in the form that its prompt asks for: the prompt's own check says so."""

from operators.rewrite.rules.base import Drop, JudgedRewrite


def unparsable(rewrite: JudgedRewrite) -> str | None:
    """Give the detail of the prompt's check."""
    return rewrite.failed("unparsable")


RULE = Drop("drop an answer that is not in the form its prompt asks for", lambda config: unparsable)
