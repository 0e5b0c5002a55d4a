"""The pictures of an evaluation: files beside its tables, and elements of its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from proact import plots

PARETO = ("pareto.png", "pareto.svg")


def draw(result: dict[str, Any], out: Path) -> dict[str, str]:
    """Write the pictures; returns each by its name as an svg element."""
    pictures = {}
    if points := [_point(one, result["methods"]) for one in result["pareto"]]:
        figure = plots.pareto(points)
        plots.save(figure, *(out / name for name in PARETO))
        pictures["pareto"] = plots.inline(figure, "Task success against interruption cost, one point per method")
    for judge, found in result["agreement"].items():
        if found.get("bins"):
            figure = plots.reliability(found["bins"], f"{judge}: ECE {found['ece']:.3f}")
            # A name from a file must not say where to write.
            name = f"reliability-{quote(judge, safe='')}"
            plots.save(figure, out / f"{name}.png", out / f"{name}.svg")
            pictures[f"reliability {judge}"] = plots.inline(figure, f"Reliability diagram of {judge}")
    return pictures


def _point(found: dict[str, Any], methods: list[str]) -> plots.Point:
    return plots.Point(
        label=found["method"],
        x=found["x"],
        y=found["y"],
        x_ends=_pair(found["x_ends"]),
        y_ends=_pair(found["y_ends"]),
        on_front=found["on_front"],
        order=methods.index(found["method"]),
    )


def _pair(ends: list[float] | None) -> tuple[float, float] | None:
    return (ends[0], ends[1]) if ends else None
