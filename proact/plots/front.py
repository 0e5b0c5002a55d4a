"""Success against interruption cost: one point a method, with the front that no other method dominates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from proact.plots.canvas import COLOURS, INK, PAPER, drawing, empty

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHAPES = ("o", "s", "^", "D", "v", "P", "X", "*")
LONGEST = 30
"""Characters of a name in a picture."""
CORNERS = ((8, 7, "left"), (-8, 7, "right"), (8, -14, "left"), (-8, -14, "right"))


class Point(NamedTuple):
    """A method in the Pareto plot: x is interruption cost, y is success, each with the ends of its interval.

    `order` is its place among all methods, which decides its colour and shape.
    """

    label: str
    x: float
    y: float
    x_ends: tuple[float, float] | None = None
    y_ends: tuple[float, float] | None = None
    on_front: bool = True
    order: int = 0


def pareto(points: Sequence[Point], *, cost: str = "interruption cost", success: str = "task success") -> Figure:
    """Success (up) against interruption cost: the front is drawn, what it dominates is hollow."""
    figure, axes = empty(6.3, 3.9)
    _front_line(axes, [point for point in points if point.on_front])
    for point in points:
        _point(axes, point, COLOURS[point.order % len(COLOURS)], SHAPES[point.order % len(SHAPES)])
    axes.set_xlabel(f"{cost}  (less is better)")
    axes.set_ylabel(f"{success}  (more is better)")
    axes.margins(0.16, 0.14)
    _labelled(figure, axes, points)
    return figure


def _front_line(axes: Axes, front: Sequence[Point]) -> None:
    ordered = sorted(front, key=lambda point: (point.x, point.y))
    xs, ys = [point.x for point in ordered], [point.y for point in ordered]
    axes.step(xs, ys, where="post", color=INK, linewidth=1.2, alpha=0.65, zorder=1)


def _point(axes: Axes, point: Point, colour: str, shape: str) -> None:
    axes.errorbar(
        point.x,
        point.y,
        xerr=_lengths(point.x, point.x_ends),
        yerr=_lengths(point.y, point.y_ends),
        fmt=shape,
        color=colour,
        markersize=7,
        markerfacecolor=colour if point.on_front else PAPER,
        markeredgewidth=1.6,
        elinewidth=1.0,
        capsize=2.5,
        zorder=3,
    )


def _lengths(value: float, ends: tuple[float, float] | None) -> list[list[float]] | None:
    return None if ends is None else [[max(0.0, value - ends[0])], [max(0.0, ends[1] - value)]]


def _labelled(figure: Figure, axes: Axes, points: Sequence[Point]) -> None:
    """Put each name where it covers no other name, point or bar, or else no other name, if there is such a place."""
    with drawing():
        figure.draw_without_rendering()
    place, scale = axes.transData.transform, figure.dpi / 72
    taken = [_box(place((point.x, point.y)), 6 * scale) for point in points]
    for point in points:
        at = place((point.x, point.y))
        taken += [_between(place((end, point.y)), at) for end in point.x_ends or ()]
        taken += [_between(place((point.x, end)), at) for end in point.y_ends or ()]
    frame = axes.get_window_extent()
    names: list[Box] = []
    for point in points:
        wide, high = 6.2 * scale * len(_short(point.label)), 10 * scale
        choices = []
        for order, (anchor, dx, dy, side) in enumerate(_places(point)):
            x, y = place(anchor)
            left = x + dx * scale - {"left": 0.0, "right": wide, "center": wide / 2}[side]
            box = (left, y + dy * scale - 2, left + wide, y + dy * scale + high)
            outside = box[0] < frame.x0 or box[2] > frame.x1 or box[1] < frame.y0 or box[3] > frame.y1
            hidden, crossed = (sum(_overlap(box, other) for other in others) for others in (names, taken))
            choices.append((outside + hidden, crossed, order, box))
        *_, best, box = min(choices)
        names.append(box)
        anchor, dx, dy, side = _places(point)[best]
        name = axes.annotate(
            _short(point.label),
            anchor,
            xytext=(dx, dy),
            textcoords="offset points",
            ha=side,
            color=INK,
            zorder=4,
            parse_math=False,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.4, "alpha": 0.75},
        )
        name.set_in_layout(False)


def _short(label: str) -> str:
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"


def _places(point: Point) -> list[tuple[tuple[float, float], int, int, str]]:
    """Where a name may stand: an anchor, an offset from it in points, and the side that is anchored; best first."""
    x_ends, y_ends = point.x_ends or (point.x, point.x), point.y_ends or (point.y, point.y)
    centre = (point.x, point.y)
    return [
        *((centre, *corner) for corner in CORNERS),
        ((point.x, y_ends[1]), 0, 5, "center"),
        ((point.x, y_ends[0]), 0, -14, "center"),
        ((x_ends[1], point.y), 6, -3, "left"),
        ((x_ends[0], point.y), -6, -3, "right"),
    ]


Box = tuple[float, float, float, float]


def _box(centre: Any, half: float) -> Box:
    return centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half


def _between(one: Any, other: Any) -> Box:
    return min(one[0], other[0]) - 1, min(one[1], other[1]) - 1, max(one[0], other[0]) + 1, max(one[1], other[1]) + 1


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
