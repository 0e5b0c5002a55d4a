"""A judge at work in a run: whom it asks, what it is asked, and its findings as verdicts."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from proact.errors import UsageError
from proact.judges.asking import Bench, Outcome
from proact.judges.base import AnyJudge, Finding, GroupJudge, Subject
from proact.records import Verdict


class Seat(NamedTuple):
    """A judge of this run, whom it asks, and the settings that could change its verdicts."""

    name: str
    judge: AnyJudge
    bench: Bench
    spec: str
    body: dict[str, Any]


class Work(NamedTuple):
    """One job: a subject, how many there are beside it, and the cases that its verdicts may name."""

    seat: Seat
    subject: Subject
    subjects: int
    cases: list[tuple[str, str, str]]


def verdicts(work: Work, outcome: Outcome) -> list[Verdict]:
    """The findings of an outcome under their names. Raises UsageError for what a judge must not give."""
    cases = {name: (conversation, group) for name, conversation, group in work.cases}
    found = {finding.case or work.cases[0][0]: finding for finding in outcome.findings}
    judge = f"judge {work.seat.name}"
    if not found or len(found) < len(outcome.findings):
        raise UsageError(f"{judge} gave {len(outcome.findings)} findings on {len(found)} conversations")
    if unknown := sorted(found.keys() - cases.keys()):
        raise UsageError(f"{judge} gave a finding on {unknown[0]!r}, which it was not asked about")
    if any(finding.score is not None and not math.isfinite(finding.score) for finding in found.values()):
        raise UsageError(f"{judge} gave a score that is no number")
    return [_verdict(work, outcome, finding, case, *cases[case]) for case, finding in found.items()]


def _verdict(work: Work, outcome: Outcome, finding: Finding, case: str, conversation: str, group: str) -> Verdict:
    seat, subject = work.seat, work.subject
    placed: dict[str, Any] = {"subject": subject.key, "subjects": work.subjects}
    if isinstance(seat.judge, GroupJudge):
        placed["relative"] = True
    return Verdict(
        id=job_name(case, subject.key, seat, subject.repeat),
        trajectory=case,
        conversation=conversation,
        group=group,
        judge=seat.name,
        at=subject.at,
        repeat=subject.repeat,
        label=finding.label,
        score=finding.score,
        confidence=finding.confidence,
        rationale=finding.rationale,
        detail={**finding.detail, **placed},
        raw=outcome.raw,
        model=outcome.source,
    )


def job_name(owner: str, key: str, seat: Seat, repeat: int) -> str:
    """What a job, and a verdict, is called: its owner, its subject, the judge with its spec, and the repeat."""
    return f"{owner}/{key}/{seat.name}@{seat.spec}" + (f"~{repeat}" if repeat else "")
