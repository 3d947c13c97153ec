"""An answer that never came: the model thought, and was not done when it ended."""

from operators.rewrite.rules.base import Drop, JudgedRewrite


def only_reasoning(rewrite: JudgedRewrite) -> str | None:
    """Something came, and after the repairs nothing is left of it."""
    if rewrite.written.units or not rewrite.answer.units:
        return None
    return f"all {len(rewrite.answer.value):,} characters of the answer are reasoning; raise max_tokens, or turn it off"


RULE = Drop("drop an answer in which there is nothing but reasoning", lambda config: only_reasoning)
