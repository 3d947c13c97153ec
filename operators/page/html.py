"""The parts of a page. What is given as text is escaped here; what is given as `Markup` is HTML already."""

from collections.abc import Iterable, Sequence
from html import escape

from operators.page.style import STYLE

SIGNS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}


class Markup(str):
    """HTML that is put into a page as it is."""


def document(title: str, parts: Iterable[str], style: str = "") -> str:
    """Write a whole page: `parts` are HTML, `title` is text."""
    title = escape(title)
    head = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}{style}</style></head><body><h1>{title}</h1>",
    ]
    return "\n".join([*head, *parts, "</body></html>\n"])


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Write a table that scrolls where it is wider than the page. Cells are text, or Markup."""
    head = "".join(f"<th>{cell(name)}" for name in columns)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell(value)}' for value in row)}</tr>" for row in rows)
    return f'<div class="wide {escape(kind)}"><table><tr>{head}</tr>\n{body}</table></div>'


def cell(value: str) -> str:
    return value if isinstance(value, Markup) else shown(value)


def shown(text: str) -> str:
    """Escape a text; characters without a shape get a sign that has one (U+2400 and on)."""
    return escape(text.translate(SIGNS))


def fold(summary: str, inside: str) -> str:
    """Write HTML that is shown when its summary (text) is clicked."""
    return f"<details><summary>{cell(summary)}</summary>{inside}</details>"
