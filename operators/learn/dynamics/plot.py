"""The loss of each class over the checkpoints, as a picture in text (SVG) for light and dark pages."""

from collections.abc import Sequence

from operators.learn.dynamics.classes import CLASSES, LossCurves
from operators.page import OF_THE_TEXT, drawing, plain, written

COLOURS = ("#cc79a7", "#d55e00", "#009e73", "#3f8fd2")  # of CLASSES; told apart by the colour-blind (Okabe and Ito)
MOST_LABELS = 10  # along the x axis


def plot_curves(curves: LossCurves, checkpoints: Sequence[str]) -> str:
    """Draw the mean loss of each class and of all tokens at each checkpoint. The same curves give the same picture."""
    with drawing(7.6, 3.8) as figure:
        axes = figure.add_subplot()
        places = range(len(checkpoints))
        for name, colour, means_X in zip(CLASSES, COLOURS, curves.means_XC.T, strict=True):
            axes.plot(places, means_X, color=colour, marker=".", label=name)
        axes.plot(places, curves.mean_X, color=OF_THE_TEXT, linestyle=":", label="all tokens")
        axes.set_ylabel("mean loss, nats per token")
        axes.set_xlabel("checkpoint")
        _label(axes, checkpoints)
        figure.legend(frameon=False, loc="outside right upper")
        return written(figure)


def _label(axes, checkpoints: Sequence[str]) -> None:
    step = -(-len(checkpoints) // MOST_LABELS)
    shown = range(0, len(checkpoints), step)
    names = [plain(checkpoints[place]) for place in shown]
    slanted = max(map(len, names), default=0) > 6
    axes.set_xticks(shown, names, rotation=20 if slanted else 0, ha="right" if slanted else "center")
