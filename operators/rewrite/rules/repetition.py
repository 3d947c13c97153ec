"""An answer that goes round in circles."""

from functools import partial

from operators.rewrite.rules.base import AnalysedText, Drop, JudgedRewrite, share

FEWEST = 10  # stretches; a shorter text repeats itself by chance
SLACK = 0.1  # a source that repeats itself (a song, a table of results) may be followed in that, and a little more


def repetitive(rewrite: JudgedRewrite, most: float) -> str | None:
    """Measure the share of five-word stretches (eight characters without spaces) that stood before in the answer."""
    share = repeated(rewrite.written)
    if share <= most or share <= repeated(rewrite.source) + SLACK:
        return None
    return f"{share:.2f} of the five-word stretches are repetitions; the limit is {most}"


def repeated(text: AnalysedText) -> float:
    """Give the share of a text's stretches that stood before, in [0, 1]."""
    stretches = len(text.units) - text.span(5) + 1
    return 1 - len(text.fives) / stretches if stretches >= FEWEST else 0.0


RULE = Drop(
    "drop an answer that repeats itself",
    lambda config: partial(repetitive, most=config.max_repeated),
    options={
        "max_repeated": share(0.2, "repetition: share of five-word stretches that stood in the answer before, 0 to 1")
    },
)
