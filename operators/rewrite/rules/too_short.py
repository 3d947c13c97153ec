"""A text under its prompt's minimum."""

from operators.rewrite.rules.base import Drop, JudgedRewrite


def too_short(rewrite: JudgedRewrite) -> str | None:
    """The text is under the prompt's minimum."""
    least = rewrite.prompt.min_completion_tokens
    return f"about {rewrite.tokens} tokens; the prompt asks for {least}" if rewrite.tokens < least else None


RULE = Drop("drop a text with fewer tokens than its prompt's min_completion_tokens", lambda config: too_short)
