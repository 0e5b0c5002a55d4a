"""The pictures, and the only home of matplotlib."""

from __future__ import annotations

from proact.plots.canvas import COLOURS, INK, PAPER, form, inline, needed, save
from proact.plots.curves import alpha_sweep, reliability, training
from proact.plots.front import Point, pareto

__all__ = [
    "COLOURS",
    "INK",
    "PAPER",
    "Point",
    "alpha_sweep",
    "form",
    "inline",
    "needed",
    "pareto",
    "reliability",
    "save",
    "training",
]
