"""Pictures by matplotlib as text (SVG) inside a page, in the colours of the text around them; the same data, the same picture."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

OF_THE_TEXT = "#010203"  # stands for the colour of the text around the picture until the picture is written


@contextmanager
def drawing(width: float, height: float) -> Iterator:
    """Give an empty figure of so many inches, to be drawn and written inside the `with`."""
    import matplotlib  # takes half a second
    from matplotlib.figure import Figure

    look = {"svg.fonttype": "none", "svg.hashsalt": "gristmill", "text.color": OF_THE_TEXT}
    look |= {f"{part}.color": OF_THE_TEXT for part in ("xtick", "ytick")}
    look |= {"axes.edgecolor": OF_THE_TEXT, "axes.labelcolor": OF_THE_TEXT}
    look |= {"axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(look):
        yield Figure(figsize=(width, height), layout="constrained")


def written(figure) -> str:
    """Write a figure as an SVG element. Its text is drawn by the reader's fonts, so none has to be here."""
    picture = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(picture, format="svg", transparent=True, metadata={"Date": None})
    svg = picture.getvalue()
    return svg[svg.index("<svg") :].replace(OF_THE_TEXT, "currentColor")


def plain(label: str) -> str:
    """Keep a text from being read as a formula: a dollar sign would begin one."""
    return label.replace("$", r"\$")
