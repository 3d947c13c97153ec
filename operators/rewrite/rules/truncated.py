"""An answer that was cut at its cap of tokens."""

from operators.rewrite.rules.base import Drop, JudgedRewrite


def truncated(rewrite: JudgedRewrite) -> str | None:
    """The engine stopped at the prompt's cap, so the end is missing."""
    if rewrite.finish_reason == "length":
        return f"the completion was cut at its cap, after about {rewrite.tokens} tokens"
    return None


RULE = Drop("drop an answer that reached its cap of tokens (finish_reason length)", lambda config: truncated)
