"""An empty picture in the project's style, and how a picture becomes a file or a part of a page.

Colours are Okabe and Ito's, which colour-blind readers can tell apart.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proact import jsonl
from proact.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
INK = "#1b2a38"
"""Of text and axes; in a page it becomes the page's own text colour."""
STYLE: dict[Any, Any] = {"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "proact", "font.family": "DejaVu Sans"}
UNDATED: dict[str, Any] = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
"""The forms of a picture, each with what would make its bytes depend on when it was drawn, and by which version."""
PAPER = "#fefefe"
"""Behind names and in hollow shapes; in a page it becomes the page's own background."""


def needed(*, avoidable: bool = True) -> None:
    """Raises UsageError when there is nothing to draw with; `avoidable` where the command has --no-plot."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        instead = ", or leave them out: --no-plot" if avoidable else ""
        raise UsageError(f"pictures need matplotlib: pip install 'proact[plot]'{instead}") from None


def form(path: Path) -> str:
    """The form of a picture, by its name. Raises UsageError for one that is not drawn."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in UNDATED:
        raise UsageError(f"{path}: expected a name that ends in .png, .pdf or .svg")
    return kind


def save(figure: Figure, *paths: Path) -> None:
    """Write a picture as the suffix of each path says; the same picture gives the same bytes."""
    for path in paths:
        kind = form(path)
        with drawing(), jsonl.replace(path) as file:
            figure.savefig(file, format=kind, dpi=200, metadata=UNDATED[kind])


def inline(figure: Figure, title: str) -> str:
    """A picture as an svg element for a page, in the colours of the page's style: --paper and --c0 to --c5."""
    buffer = io.StringIO()
    with drawing():
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
def drawing() -> Iterator[None]:
    """One style for all; a name in a script that the font lacks is drawn as boxes, and spelled right in the svg."""
    from matplotlib import rc_context

    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def empty(width: float, height: float) -> tuple[Figure, Axes]:
    """A picture with one pair of axes; width and height in inches."""
    figure, (axes,) = row(width, height, 1)
    return figure, axes


def row(width: float, height: float, count: int) -> tuple[Figure, list[Axes]]:
    """A picture with several pairs of axes side by side. Raises UsageError without matplotlib."""
    needed()
    from matplotlib.figure import Figure

    with drawing():
        figure = Figure(figsize=(width, height), layout="constrained")
        all_axes = [figure.add_subplot(1, count, place + 1) for place in range(count)]
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(INK)
        axes.tick_params(colors=INK, labelsize=8)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
        axes.grid(alpha=0.18, linewidth=0.6, color=INK)
        axes.set_axisbelow(True)
    return figure, all_axes
