"""All registered metrics of one conversation as a record."""

from __future__ import annotations

from proact.metrics.base import METRICS, Absent, Weighted
from proact.metrics.conversation import compliance_scores
from proact.metrics.subject import Subject
from proact.metrics.success import success
from proact.records import Measured

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
        elif isinstance(value, Weighted):
            weights[spec.field] = value.weight
        values[spec.field] = (
            None if isinstance(value, Absent) else float(value.value if isinstance(value, Weighted) else value)
        )
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
