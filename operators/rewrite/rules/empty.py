"""An answer in which nothing is said."""

from operators.rewrite.rules.base import Drop, JudgedRewrite


def empty(rewrite: JudgedRewrite) -> str | None:
    """Nothing is left, or nothing but signs."""
    return None if rewrite.written.units else "no letter or digit is left"


RULE = Drop("drop an answer without a letter or digit", lambda config: empty, presets=("wrap", "strict"))
