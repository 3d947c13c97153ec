"""An answer that is the source again."""

from functools import partial

from operators.rewrite.rules.base import Drop, JudgedRewrite, share

FEWEST = 8  # stretches; in a shorter text a copy cannot be told from a name or a title


def copied(rewrite: JudgedRewrite, most: float) -> str | None:
    """Measure the share of five-word stretches (eight characters without spaces) that the answer has from the source.

    The share is taken of the shorter of the two, so that half a copy and a copy with an addition count as well.
    """
    source, written = rewrite.source.fives, rewrite.written.fives
    fewest = min(len(source), len(written))
    if fewest < FEWEST:
        return None
    share = len(source & written) / fewest
    return f"{share:.2f} of the five-word stretches are the source's; the limit is {most}" if share > most else None


RULE = Drop(
    "drop an answer that is nearly the source again",
    lambda config: partial(copied, most=config.max_copied),
    options={"max_copied": share(0.85, "copy: share of five-word stretches that are the source's, 0 to 1")},
)
