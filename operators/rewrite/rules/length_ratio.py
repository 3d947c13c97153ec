"""An answer out of all proportion to its source."""

from operators.rewrite.rules.base import Drop, JudgedRewrite

SHORT = 200  # characters; a shorter source may grow as if it had so many: its question-answer pairs need room


def out_of_proportion(rewrite: JudgedRewrite) -> str | None:
    """The answer is far shorter or longer than the source. Counted in characters, bounds by the prompt."""
    written, source = len(rewrite.written.value), len(rewrite.source.value.strip())
    least, most = rewrite.prompt.min_length_ratio, rewrite.prompt.max_length_ratio
    if least * source <= written <= most * max(source, SHORT):
        return None
    return f"{written / max(1, source):.2f} times the source's characters; the prompt allows {least} to {most}"


RULE = Drop(
    "drop an answer too short or long against the source, by its prompt's bounds", lambda config: out_of_proportion
)
