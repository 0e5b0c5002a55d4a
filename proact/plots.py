"""The only home of matplotlib: pictures of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def alpha_sweep(path: Path, alphas: Sequence[float], ask_rates: Mapping[str, Sequence[float]]) -> None:
    """Ask rates, 0 to 1, over the price of asking: one named curve per policy."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, rates in ask_rates.items():
        axes.plot(alphas, rates, marker="o", markersize=3, label=name)
    axes.set(xlabel="alpha, the weight of the cost", ylabel="share of the starts at which it asks", ylim=(-0.03, 1.03))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
