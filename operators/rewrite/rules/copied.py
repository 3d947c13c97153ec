"""An answer that is the source again."""

from operators.rewrite.rules.base import Row

FEWEST = 8  # stretches; in a shorter text a copy cannot be told from a name or a title


def copied(row: Row, most: float) -> str | None:
    """Measure the share of five-word stretches (eight characters without spaces) that the answer has from the source.

    The share is taken of the shorter of the two, so that half a copy and a copy with an addition count as well.
    """
    source, written = row.source.fives, row.written.fives
    fewest = min(len(source), len(written))
    if fewest < FEWEST:
        return None
    share = len(source & written) / fewest
    return f"{share:.2f} of the five-word stretches are the source's; the limit is {most}" if share > most else None
