"""Pictures: names are never lost, the same data gives the same bytes, and what is dominated is hollow."""

from __future__ import annotations

from pathlib import Path

from proact import plots
from proact.plots import COLOURS, INK, PAPER, Point

POINTS = [
    Point("documented", 0.03, 0.42, (0.02, 0.05), (0.36, 0.48), True, 0),
    Point("cheap", 0.0, 0.39, (0.0, 0.0), (0.33, 0.45), True, 1),
    Point("always $x$ <b>& 总是问", 0.22, 0.40, (0.2, 0.24), None, False, 2),
    Point("a name that is much too long to stand in a picture", 0.1, 0.2, None, None, False, 9),
]
BINS = [
    {"low": 0.5, "high": 0.6, "n": 4, "confidence": 0.55, "accuracy": 0.5},
    {"low": 0.9, "high": 1.0, "n": 9, "confidence": 0.93, "accuracy": 0.8},
]


def test_the_same_points_give_the_same_bytes() -> None:
    for name in ("a", "b"):
        plots.save(plots.pareto(POINTS), Path(f"{name}.png"), Path(f"{name}.svg"))
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()


def test_every_method_is_named_beside_its_point() -> None:
    svg = plots.inline(plots.pareto(POINTS), "Success")
    for label in ("documented", "cheap", "always $x$ &lt;b&gt;&amp; 总是问", "a name that is much too long …"):
        assert f">{label}</text>" in svg


def test_an_inline_picture_has_the_colours_of_its_page_and_fetches_nothing() -> None:
    for figure in (plots.pareto(POINTS), plots.reliability(BINS, "judge: ECE 0.1")):
        svg = plots.inline(figure, 'a "title" <b>')
        assert svg.startswith('<svg role="img" aria-label="a &quot;title&quot; &lt;b>"')
        assert "currentColor" in svg
        assert "var(--c0)" in svg
        assert not any(colour in svg for colour in (INK, PAPER, *COLOURS))
        assert "http" not in svg
        assert "<style" not in svg


def test_what_is_dominated_is_hollow() -> None:
    axes = plots.pareto(POINTS).axes[0]
    filled = {container.lines[0].get_markerfacecolor() for container in axes.containers}  # type: ignore[attr-defined]
    assert filled == {COLOURS[0], COLOURS[1], PAPER}


def test_methods_that_earn_nearly_the_same_do_not_have_their_names_over_each_other() -> None:
    crowd = [
        Point("always-clarify", 0.847, 0.619, (0.82, 0.873), (0.575, 0.661), True, 0),
        Point("always-execute", 0.0, 0.203, (0.0, 0.0), (0.167, 0.244), True, 1),
        Point("optimal", 0.071, 0.33, (0.045, 0.096), (0.28, 0.384), True, 2),
        Point("round-1", 0.034, 0.286, (0.019, 0.049), (0.239, 0.337), True, 3),
        Point("round-2", 0.062, 0.306, (0.041, 0.083), (0.26, 0.357), False, 4),
        Point("round-3", 0.066, 0.308, (0.042, 0.089), (0.26, 0.36), False, 5),
    ]
    figure = plots.pareto(crowd)
    figure.draw_without_rendering()
    boxes = [name.get_window_extent() for name in figure.axes[0].texts]
    assert len(boxes) == len(crowd)
    assert not any(one.overlaps(other) for order, one in enumerate(boxes) for other in boxes[:order])
