"""All registered metrics of one conversation as a record."""

from __future__ import annotations

from proact.errors import UsageError
from proact.metrics.base import METRICS, Absent, MetricSpec, Weighted
from proact.metrics.conversation import compliance_scores
from proact.metrics.subject import Subject
from proact.metrics.success import success
from proact.records import Measured
from proact.registry import finite
from proact.rewards.specs import LARGEST

MISSING, NOT_APPLICABLE = Absent.MISSING, Absent.NOT_APPLICABLE


def measure(subject: Subject) -> Measured:
    """Every registered metric of one conversation."""
    values: dict[str, float | None] = {}
    absent: dict[Absent, list[str]] = {MISSING: [], NOT_APPLICABLE: []}
    weights: dict[str, float] = {}
    for name in METRICS:
        spec = METRICS[name]
        value = spec.compute(subject)
        if isinstance(value, Absent):
            absent[value].append(spec.field)
            values[spec.field] = None
        else:
            values[spec.field] = _given(spec, value, subject)
            if isinstance(value, Weighted):
                weights[spec.field] = float(value.weight)
    return Measured(
        id=subject.id,
        conversation=subject.conversation,
        method=subject.method,
        task=subject.task,
        persona=subject.persona,
        family=subject.family,
        split=subject.split,
        seed=subject.seed,
        replicate=subject.replicate,
        domain=subject.domain,
        action=subject.action,
        metrics=values,
        missing=absent[MISSING],
        not_applicable=absent[NOT_APPLICABLE],
        weights=weights,
        preference_compliance_scores=compliance_scores(subject) or [],
        success_source=success(subject)[1],
    )


def _given(spec: MetricSpec, value: object, subject: Subject) -> float:
    """The number that a metric gave, which may be a plugin's. Raises UsageError for what is no value."""
    given, weight = value if isinstance(value, Weighted) else (value, 1.0)
    number = float(given) if isinstance(given, bool) else finite(given)
    counts = finite(weight)
    if number is None or abs(number) > LARGEST or counts is None or not 0 < counts <= LARGEST:
        wanted = "a finite number, Absent, or Weighted with a weight above 0"
        raise UsageError(f"metric {spec.name!r} gave {value!r} for {subject.id}; expected {wanted}")
    if spec.kind == "rate" and number not in (0.0, 1.0):
        raise UsageError(f"metric {spec.name!r} gave {value!r} for {subject.id}; a rate is 0 or 1 in a conversation")
    return number
