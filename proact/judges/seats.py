"""A judge at work in a run: whom it asks, what it is asked, and its findings as verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from proact.errors import UsageError
from proact.judges.asking import Bench, Outcome
from proact.judges.base import AnyJudge, Finding, GroupJudge, Subject
from proact.records import Verdict
from proact.rewards.specs import LARGEST


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


def subjects(seat: Seat, what: Any) -> list[Subject]:
    """What a judge has to say of a case or of a group's cases. Raises UsageError for what is no list of subjects."""
    given: object = seat.judge.subjects(what)
    found: list[Subject] = []
    for one in given if isinstance(given, Iterable) else [given]:
        if not isinstance(one, Subject) or not isinstance(one.key, str):
            raise UsageError(f"judge {seat.name} gave {one!r} as a subject; expected a Subject with a key")
        found.append(one)
    return found


def verdicts(work: Work, outcome: Outcome) -> list[Verdict]:
    """The findings of an outcome under their names. Raises UsageError for what a judge must not give."""
    cases = {name: (conversation, group) for name, conversation, group in work.cases}
    judge = f"judge {work.seat.name}"
    try:
        # A plugin's findings have been seen by no type checker.
        findings = msgspec.convert(msgspec.to_builtins(outcome.findings), list[Finding])
    except (msgspec.ValidationError, TypeError) as error:
        raise UsageError(f"{judge} gave what is no list of findings: {error}") from None
    found = {finding.case or work.cases[0][0]: finding for finding in findings}
    if not found or len(found) < len(findings):
        raise UsageError(f"{judge} gave {len(findings)} findings on {len(found)} conversations")
    if unknown := sorted(found.keys() - cases.keys()):
        raise UsageError(f"{judge} gave a finding on {unknown[0]!r}, which it was not asked about")
    for finding in findings:
        if finding.score is not None and not abs(finding.score) <= LARGEST:
            raise UsageError(f"{judge} gave the score {finding.score}; expected a finite number")
        if finding.confidence is not None and not 0 <= finding.confidence <= 1:
            raise UsageError(f"{judge} gave the confidence {finding.confidence}; expected 0 to 1")
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
    return f"{topic(owner, key, seat)}{seat.spec}" + (f"~{repeat}" if repeat else "")


def topic(owner: str, key: str, seat: Seat) -> str:
    """What the jobs of a judge on a subject have in common, whatever its spec."""
    return f"{owner}/{key}/{seat.name}@"
