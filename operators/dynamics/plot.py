"""The loss of each class over the checkpoints, as a picture in text (SVG) for light and dark pages."""

import io
from collections.abc import Sequence

from operators.dynamics.classes import CLASSES, LossCurves

COLOURS = ("#cc79a7", "#d55e00", "#009e73", "#3f8fd2")  # of CLASSES; told apart by the colour-blind (Okabe and Ito)
OF_THE_TEXT = "#010203"  # stands for the colour of the text around the picture until the picture is written
MOST_LABELS = 10  # along the x axis


def plot_curves(curves: LossCurves, checkpoints: Sequence[str]) -> str:
    """Draw the mean loss of each class and of all tokens at each checkpoint. The same curves give the same picture."""
    import matplotlib  # takes half a second
    from matplotlib.figure import Figure

    look = {"svg.fonttype": "none", "svg.hashsalt": "gristmill", "text.color": OF_THE_TEXT}
    look |= {f"{part}.color": OF_THE_TEXT for part in ("xtick", "ytick")}
    look |= {"axes.edgecolor": OF_THE_TEXT, "axes.labelcolor": OF_THE_TEXT}
    with matplotlib.rc_context(look):
        figure = Figure(figsize=(7.6, 3.8), layout="constrained")
        axes = figure.add_subplot()
        places = range(len(checkpoints))
        for name, colour, means_X in zip(CLASSES, COLOURS, curves.means_XC.T, strict=True):
            axes.plot(places, means_X, color=colour, marker=".", label=name)
        axes.plot(places, curves.mean_X, color=OF_THE_TEXT, linestyle=":", label="all tokens")
        axes.set_ylabel("mean loss, nats per token")
        axes.set_xlabel("checkpoint")
        _label(axes, checkpoints)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(frameon=False, loc="outside right upper")
        picture = io.StringIO()
        figure.savefig(picture, format="svg", transparent=True, metadata={"Date": None})
    svg = picture.getvalue()
    return svg[svg.index("<svg") :].replace(OF_THE_TEXT, "currentColor")


def _label(axes, checkpoints: Sequence[str]) -> None:
    step = -(-len(checkpoints) // MOST_LABELS)
    shown = range(0, len(checkpoints), step)
    # A dollar sign would begin a formula.
    names = [checkpoints[place].replace("$", r"\$") for place in shown]
    slanted = max(map(len, names), default=0) > 6
    axes.set_xticks(shown, names, rotation=20 if slanted else 0, ha="right" if slanted else "center")
