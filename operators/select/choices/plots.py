"""Pictures of a selection report: one small picture for each choice, so that a phone shows one and a screen several in a line."""

from operators.page import OF_THE_TEXT, PALETTE, drawing, plain, written
from operators.select.choices.base import Histogram

SIZE = (3.2, 2.1)  # inches
LONG = 34  # characters of a title that fit


def length_picture(histogram: Histogram) -> str:
    """Draw answer lengths of a choice over those of the pool; the scale is logarithmic."""
    return _picture(histogram, "answer tokens", logarithmic=True)


def score_picture(histogram: Histogram) -> str:
    """Draw the scores of a choice and, where they are known, of the pool."""
    return _picture(histogram, "score", logarithmic=False)


def _picture(histogram: Histogram, what: str, logarithmic: bool) -> str:
    edges = histogram.edges
    if logarithmic:
        edges = [max(edge, 0.5) for edge in edges]
    with drawing(*SIZE) as figure:
        axes = figure.add_subplot()
        axes.stairs(histogram.chosen, edges, fill=True, color=PALETTE[0], alpha=0.7, label="chosen")
        if histogram.pool is not None:
            axes.stairs(histogram.pool, edges, color=OF_THE_TEXT, linewidth=1.2, label="pool", baseline=None)
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda tokens, _: f"{tokens:g}")
        else:
            axes.locator_params(axis="x", nbins=5)
        axes.locator_params(axis="y", nbins=4, steps=[1, 2, 5, 10])
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
        axes.set_xlabel(what)
        title = histogram.label if len(histogram.label) <= LONG else histogram.label[: LONG - 1] + "…"
        axes.set_title(plain(title), fontsize=10)
        axes.legend(frameon=False, fontsize=8)
        return written(figure)
