"""The page on which people look at dynamics: class shares, loss curves, and text coloured by class and by selection.

One file without scripts that loads nothing. Shapes: T tokens of a sample, C classes, X checkpoints.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from tokenizers import Tokenizer

from operators.learn.dynamics.classes import CLASSES, UNDEFINED, ClassTotals, LossCurves
from operators.learn.dynamics.look import BY_CLASS, BY_SELECTION, STYLE
from operators.learn.dynamics.pieces import pieces
from operators.learn.dynamics.plot import plot_curves
from operators.page import document, shown

PAPER_C = ("11%", "12%", "26%", "51%")  # of CLASSES: TinyLlama on OpenWebMath; Rho-1, arXiv:2404.07965


@dataclass(frozen=True)
class SampleText:
    """One text to show, all (T,): tokens, class codes, losses at the first and last checkpoint, fitted change, in nats.

    `kept_T` is a mask of selection, or None; a token without a class counts as undefined there too.
    """

    title: str
    tokens_T: np.ndarray
    code_T: np.ndarray
    first_T: np.ndarray
    last_T: np.ndarray
    change_T: np.ndarray
    kept_T: np.ndarray | None = None


@dataclass(frozen=True)
class DynamicsReport:
    """What a page shows. `checkpoints` are the X names along the curves, `threshold` and `mean_last` parted the classes."""

    title: str
    checkpoints: Sequence[str]
    totals: ClassTotals
    curves: LossCurves
    threshold: float
    mean_last: float
    samples: Sequence[SampleText]


def page(report: DynamicsReport, tokenizer: Tokenizer) -> str:
    """Write the page in HTML. Every text that comes from outside is escaped."""
    selection = any(sample.kept_T is not None for sample in report.samples)
    parts = [
        *_shares(report),
        "<h2>Loss of each class</h2>",
        f"<figure>{plot_curves(report.curves, report.checkpoints)}</figure>",
        "<h2>Texts</h2>",
        "<p>Hover over a token for its losses. A bar without text is a token that is part of the character behind it.</p>",
        BY_CLASS + (BY_SELECTION if selection else ""),
        *(_sample(sample, tokenizer) for sample in report.samples),
    ]
    return document(report.title, parts, STYLE)


def _shares(report: DynamicsReport) -> Iterator[str]:
    totals, curves = report.totals, report.curves
    yield (
        f"<p>{totals.tokens_C.sum():,} tokens, {len(report.checkpoints)} checkpoints. A line is fitted to the losses of each "
        f"token (Rho-1, arXiv:2404.07965): it rises or falls if the line moves by more than {report.threshold:g} nats; of the "
        f"others those are low whose last loss is at most the mean of all, {report.mean_last:.3f}.</p>"
    )
    yield "<table><tr><th>class<th>meaning<th>tokens<th>share<th>paper<th>loss, first<th>loss, last<th>change<th>fluctuation</tr>"
    meanings = ("stays high", "rises", "falls", "stays low")
    counts_C = np.maximum(1, totals.tokens_C)
    change_C, variance_C = totals.change_C / counts_C, totals.variance_C / counts_C
    for c, name in enumerate(CLASSES):
        cells = [f"{totals.tokens_C[c]:,}", f"{totals.share_C[c]:.1%}", PAPER_C[c]]
        means = (curves.means_XC[0, c], curves.means_XC[-1, c], change_C[c], math.sqrt(variance_C[c]))
        cells += [f"{mean:.3f}" if totals.tokens_C[c] and math.isfinite(mean) else "–" for mean in means]
        yield f'<tr><th><i class="c{c}">{name}</i><td>{meanings[c]}<td>{"<td>".join(cells)}</tr>'
    yield (
        "</table><p>Paper: TinyLlama on OpenWebMath. Losses in nats. Fluctuation: deviation from the fitted line (root of the "
        "mean variance).</p>"
    )


def _sample(sample: SampleText, tokenizer: Tokenizer) -> str:
    texts = pieces(tokenizer, sample.tokens_T)
    kept_T = sample.kept_T if sample.kept_T is not None else [None] * len(texts)
    columns = (texts, sample.code_T, sample.first_T, sample.last_T, sample.change_T, kept_T)
    spans = (_token(*values) for values in zip(*columns, strict=True))
    return f"<h3>{escape(sample.title)}</h3><pre>{''.join(spans)}</pre>"


def _token(text: str, code: int, first: float, last: float, change: float, kept: bool | None) -> str:
    defined = code != UNDEFINED
    looks = [f"c{code}" if defined else "cu"]
    title = f"{CLASSES[code]}: {first:.2f} → {last:.2f}, change {change:+.2f}" if defined else "no prediction"
    if kept is not None:
        looks.append(("k1" if kept else "k0") if defined else "ku")
        title += (", kept" if kept else ", not kept") if defined else ""
    if not text:
        looks.append("part")
    ended = shown(text).replace("\n", "↵\n")
    return f'<span class="{" ".join(looks)}" title="{title}">{ended}</span>'
