"""Quotes or a code fence around the whole answer."""

import re

from operators.rewrite.rules.base import Repair

QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "「": "」", "『": "』"}
FENCE = re.compile(r"\A```[\w-]*\n(.*)\n```\Z", re.DOTALL)


def unwrap(text: str, source: str) -> str:
    """Take away a code fence or a pair of quotes that encloses everything, unless the source is so enclosed itself."""
    text, source = text.strip(), source.strip()
    fenced = FENCE.match(text)
    if fenced and "```" not in fenced[1] and not FENCE.match(source):
        text = fenced[1].strip()
    closing = QUOTES.get(text[:1])
    if closing and text.endswith(closing) and len(text) > 1 and source[:1] not in QUOTES:
        inner = text[1:-1]
        if text[0] not in inner and closing not in inner:
            return inner.strip()
    return text


RULE = Repair("take away quotes or a code fence around the whole answer", lambda config: unwrap, behind_opening=True)
