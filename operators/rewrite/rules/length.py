"""How much text there is, alone and against the source."""

from operators.rewrite.rules.base import Row

SHORT = 200  # characters; a shorter source may grow as if it had so many: its question-answer pairs need room


def truncated(row: Row) -> str | None:
    """The engine stopped at the prompt's cap, so the end is missing."""
    if row.finish_reason == "length":
        return f"the completion was cut at its cap, after about {row.tokens} tokens"
    return None


def empty(row: Row) -> str | None:
    """Nothing is left, or nothing but signs."""
    return None if row.written.units else "no letter or digit is left"


def too_short(row: Row) -> str | None:
    """The text is under the prompt's minimum."""
    least = row.prompt.min_completion_tokens
    return f"about {row.tokens} tokens; the prompt asks for {least}" if row.tokens < least else None


def out_of_proportion(row: Row) -> str | None:
    """The answer is far shorter or longer than the source. Counted in characters, bounds by the prompt."""
    written, source = len(row.written.value), len(row.source.value.strip())
    least, most = row.prompt.min_length_ratio, row.prompt.max_length_ratio
    if least * source <= written <= most * max(source, SHORT):
        return None
    return f"{written / max(1, source):.2f} times the source's characters; the prompt allows {least} to {most}"
