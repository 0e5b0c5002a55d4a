"""Which of several points no other point beats."""

from __future__ import annotations

from collections.abc import Sequence

TIE = 1e-12


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """For (cost, success) points: whether none is at least as good in both and better in one. Equal points share."""
    return [not any(_beats(other, point) for other in points) for point in points]


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    cheaper, better = other[0] - one[0], one[1] - other[1]
    return cheaper >= -TIE and better >= -TIE and (cheaper > TIE or better > TIE)
