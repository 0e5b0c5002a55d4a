"""The pictures, and the only home of matplotlib. Colours are Okabe and Ito's, which colour-blind readers can tell
apart; each method also has a shape of its own."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from proact import jsonl
from proact.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "*")
INK = "#1b2a38"
"""Of text and axes; in a page it becomes the page's own text colour."""
STYLE: dict[Any, Any] = {"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "proact", "font.family": "DejaVu Sans"}
PAPER = "#fefefe"
"""Behind names and in hollow shapes; in a page it becomes the page's own background."""
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


def needed() -> None:
    """Raises UsageError when there is nothing to draw with."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError("pictures need matplotlib: pip install 'proact[plot]', or leave them out: --no-plot") from None


def pareto(points: Sequence[Point], *, cost: str = "interruption cost", success: str = "task success") -> Figure:
    """Success (up) against interruption cost: the front is drawn, what it dominates is hollow."""
    figure, axes = _empty(6.3, 3.9)
    _front_line(axes, [point for point in points if point.on_front])
    for point in points:
        _point(axes, point, COLOURS[point.order % len(COLOURS)], SHAPES[point.order % len(SHAPES)])
    axes.set_xlabel(f"{cost}  (less is better)")
    axes.set_ylabel(f"{success}  (more is better)")
    axes.margins(0.16, 0.14)
    _labelled(figure, axes, points)
    return figure


def reliability(bins: Sequence[dict[str, Any]], title: str) -> Figure:
    """How often verdicts of each stated confidence are right; on the diagonal confidence is what it says."""
    figure, axes = _empty(3.6, 3.4)
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


def save(figure: Figure, *paths: Path) -> None:
    """Write a picture as the suffix of each path says; the same picture gives the same bytes."""
    for path in paths:
        kind = path.suffix.removeprefix(".")
        with _drawing(), jsonl.replace(path) as file:
            metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(file, format=kind, dpi=200, metadata=metadata)


def inline(figure: Figure, title: str) -> str:
    """A picture as an svg element for a page, in the colours of the page's style: --paper and --c0 to --c5."""
    buffer = io.StringIO()
    with _drawing():
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    svg = buffer.getvalue()
    svg = re.sub(r"<(metadata|style).*?</\1>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r' id="[a-z0-9.]+_\d+"', "", svg)
    width, height = (float(value) for value in re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2])
    head = f'<svg role="img" aria-label="{_escaped(title)}" viewBox="0 0 {width:g} {height:g}" class="plot">'
    names = {INK: "currentColor", PAPER: "var(--paper)"}
    names |= {colour: f"var(--c{order})" for order, colour in enumerate(COLOURS)}
    return head + re.sub("|".join(names), lambda found: names[found[0]], svg[svg.index(">") + 1 :])


@contextmanager
def _drawing() -> Iterator[None]:
    """One style for all; a name in a script that the font lacks is drawn as boxes, and spelled right in the svg."""
    from matplotlib import rc_context

    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _empty(width: float, height: float) -> tuple[Figure, Axes]:
    needed()
    from matplotlib.figure import Figure

    with _drawing():
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, labelsize=8)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(alpha=0.18, linewidth=0.6, color=INK)
    axes.set_axisbelow(True)
    return figure, axes


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
    """Put each name where it covers no other name, point or bar, if there is such a place."""
    with _drawing():
        figure.draw_without_rendering()
    place, scale = axes.transData.transform, figure.dpi / 72
    taken = [_box(place((point.x, point.y)), 6 * scale) for point in points]
    for point in points:
        at = place((point.x, point.y))
        taken += [_between(place((end, point.y)), at) for end in point.x_ends or ()]
        taken += [_between(place((point.x, end)), at) for end in point.y_ends or ()]
    frame = axes.get_window_extent()
    for point in points:
        wide, high = 6.2 * scale * len(_short(point.label)), 10 * scale
        choices = []
        for order, (anchor, dx, dy, side) in enumerate(_places(point)):
            x, y = place(anchor)
            left = x + dx * scale - {"left": 0.0, "right": wide, "center": wide / 2}[side]
            box = (left, y + dy * scale - 2, left + wide, y + dy * scale + high)
            outside = box[0] < frame.x0 or box[2] > frame.x1 or box[1] < frame.y0 or box[3] > frame.y1
            choices.append((9 * outside + sum(_overlap(box, other) for other in taken), order, box))
        _, best, box = min(choices)
        taken.append(box)
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
        ((x_ends[1], point.y), 6, -4, "left"),
        ((x_ends[0], point.y), -6, -4, "right"),
    ]


Box = tuple[float, float, float, float]


def _box(centre: Any, half: float) -> Box:
    return centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half


def _between(one: Any, other: Any) -> Box:
    return min(one[0], other[0]) - 1, min(one[1], other[1]) - 1, max(one[0], other[0]) + 1, max(one[1], other[1]) + 1


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


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


def training(rows: Sequence[Mapping[str, float]]) -> Figure:
    """Loss and share of right pairs over the steps of a training, of the pairs learned from and of those held out."""
    needed()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.3, 2.9), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label, style, colour in ((name, "training", "-", 0), (f"eval_{name}", "held out", "o--", 1)):
            points = [(row["step"], row[key]) for row in rows if key in row]
            axes.plot(*zip(*points, strict=True) if points else ((), ()), style, color=COLOURS[colour], label=label)
        axes.set(xlabel="step", ylabel=name)
        axes.grid(alpha=0.18, linewidth=0.6, color=INK)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure
