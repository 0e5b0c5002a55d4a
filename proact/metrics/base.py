"""What a metric is: a name, a unit, a direction, and a function of one conversation."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Literal, NamedTuple

from proact.errors import UsageError
from proact.metrics.subject import Subject
from proact.registry import Registry

Kind = Literal["mean", "rate", "ratio"]


class Absent(Enum):
    """Why there is no value. Neither is ever a number."""

    MISSING = "missing"
    NOT_APPLICABLE = "not applicable"


class Weighted(NamedTuple):
    """A value that counts as often as there was something to count."""

    value: float
    weight: float


Value = float | Weighted | Absent
Compute = Callable[[Subject], Value]


class MetricSpec(NamedTuple):
    """A registered metric. A `rate` is 0 or 1 in each conversation, a `ratio` is a weighted mean, and what is
    not `compared` is described and never tested."""

    name: str
    field: str
    unit: str
    higher_is_better: bool
    kind: Kind
    compared: bool
    compute: Compute

    @property
    def meaning(self) -> str:
        return " ".join((self.compute.__doc__ or "").split())


METRICS: Registry[MetricSpec] = Registry("metric")


def metric(
    name: str,
    *,
    higher_is_better: bool,
    unit: str,
    field: str | None = None,
    kind: Kind = "mean",
    compared: bool = True,
) -> Callable[[Compute], Compute]:
    """A decorator that registers a metric under `name`; `field` is its name within one conversation.

    Without a direction a metric cannot be registered, because then there would be no best. Raises UsageError.
    """
    if not isinstance(higher_is_better, bool):
        raise UsageError(f"metric {name!r}: higher_is_better must be True or False, not {higher_is_better!r}")

    def add(compute: Compute) -> Compute:
        METRICS.register(name)(MetricSpec(name, field or name, unit, higher_is_better, kind, compared, compute))
        return compute

    return add
