"""Pages in HTML that run no script and load nothing: their style, their tables, and their pictures.

html.py      the parts of a page
picture.py   pictures by matplotlib as text (SVG)
style.py     how every page looks
"""

from operators.page.html import Markup, document, fold, shown, table
from operators.page.picture import OF_THE_TEXT, drawing, plain, written
from operators.page.style import PALETTE, STYLE, TINT

__all__ = [
    "OF_THE_TEXT",
    "PALETTE",
    "STYLE",
    "TINT",
    "Markup",
    "document",
    "drawing",
    "fold",
    "plain",
    "shown",
    "table",
    "written",
]
