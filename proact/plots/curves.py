"""Pictures of curves: how sure verdicts are, how often policies ask, and how a training goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from proact.plots.canvas import COLOURS, INK, empty, row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def reliability(bins: Sequence[dict[str, Any]], title: str) -> Figure:
    """How often verdicts of each stated confidence are right; on the diagonal confidence is what it says."""
    figure, axes = empty(3.6, 3.4)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.6)
    most = max((one["n"] for one in bins), default=1)
    for one in bins:
        axes.bar(one["low"], one["n"] / most * 0.18, width=0.1, align="edge", color=COLOURS[5], alpha=0.45)
    axes.plot(
        [one["confidence"] for one in bins],
        [one["accuracy"] for one in bins],
        color=COLOURS[0],
        marker="o",
        markersize=5,
        linewidth=1.4,
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated confidence", ylabel="share that is right")
    axes.set_title(title, fontsize=9, loc="left", color=INK, parse_math=False)
    return figure


def alpha_sweep(alphas: Sequence[float], ask_rates: Mapping[str, Sequence[float]]) -> Figure:
    """Ask rates, 0 to 1, over the price of asking: one named curve per policy."""
    figure, axes = empty(6.3, 3.9)
    for order, (name, rates) in enumerate(ask_rates.items()):
        axes.plot(alphas, rates, color=COLOURS[order % len(COLOURS)], marker="o", markersize=3, label=name)
    axes.set(xlabel="alpha, the weight of the cost", ylabel="share of the starts at which it asks", ylim=(-0.03, 1.03))
    axes.legend(frameon=False)
    return figure


def training(rows: Sequence[Mapping[str, float]]) -> Figure:
    """Loss and share of right pairs over the steps of a training, of the pairs learned from and of those held out."""
    figure, both = row(6.3, 2.9, 2)
    for axes, name in zip(both, ("loss", "accuracy"), strict=True):
        for key, label, style, colour in ((name, "training", "-", 0), (f"eval_{name}", "held out", "o--", 1)):
            points = [(one["step"], one[key]) for one in rows if key in one]
            axes.plot(*zip(*points, strict=True) if points else ((), ()), style, color=COLOURS[colour], label=label)
        axes.set(xlabel="step", ylabel=name)
    axes.legend(frameon=False, fontsize=8)
    return figure
