"""What a verdicts file holds of the subjects of one run: judged, not applicable, missing."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import msgspec

from proact import jsonl
from proact.errors import InputError
from proact.keys import digest64


class _Line(msgspec.Struct):
    judge: str
    trajectory: str
    job: str = ""
    terminal: bool = True
    score: float | None = None
    label: str | None = None
    model: str = ""
    detail: dict[str, Any] = {}


class Plan:
    """The jobs that a run is about, counted per judge; kept as sorted 64-bit hashes, as in resume."""

    def __init__(self) -> None:
        self.subjects: Counter[str] = Counter()
        self._jobs = array("Q")
        self._closed = False

    def add(self, judge: str, job: str) -> None:
        """Count a job; after `close` the same jobs come a second time and count no more."""
        if not self._closed:
            self._jobs.append(digest64(job))
            self.subjects[judge] += 1

    def close(self) -> None:
        if not self._closed:
            self._jobs, self._closed = array("Q", sorted(self._jobs)), True

    def holds(self, job: str) -> bool:
        key = digest64(job)
        at = bisect_left(self._jobs, key)
        return at < len(self._jobs) and self._jobs[at] == key


def tally(out: Path, plan: Plan, judges: dict[str, bool], *, repeated: bool) -> list[dict[str, Any]]:
    """A row for each judge, whose value says whether its scores compare only inside a group."""
    found = {judge: _Count(repeated=repeated) for judge in judges}
    decoder = msgspec.json.Decoder(_Line)
    for line in jsonl.lines(out):
        try:
            verdict = decoder.decode(line.raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InputError(out, str(error), line=line.number) from None
        if verdict.judge in found and plan.holds(verdict.job):
            found[verdict.judge].add(verdict)
    return [found[judge].row(judge, plan.subjects[judge], relative) for judge, relative in judges.items()]


class _Count:
    """The lines of one judge; those of a job stand together, its terminal one last."""

    def __init__(self, *, repeated: bool) -> None:
        self.judged = self.idle = self.scored = 0
        self.sum = 0.0
        self.labels: Counter[str] = Counter()
        self.models: set[str] = set()
        self._repeats: dict[tuple[str, str], list[float]] | None = defaultdict(list) if repeated else None
        self._has_score = False

    def add(self, verdict: _Line) -> None:
        if verdict.label:
            self.labels[verdict.label] += 1
        if verdict.model:
            self.models.add(verdict.model)
        if verdict.score is not None:
            self._has_score = True
            self.scored += 1
            self.sum += verdict.score
            if self._repeats is not None:
                self._repeats[verdict.trajectory, verdict.detail.get("subject", "")].append(verdict.score)
        if verdict.terminal:
            self.judged += self._has_score
            self.idle += not self._has_score
            self._has_score = False

    def row(self, judge: str, subjects: int, relative: bool) -> dict[str, Any]:
        spreads = [pstdev(scores) for scores in (self._repeats or {}).values() if len(scores) > 1]
        return {
            "judge": judge,
            "subjects": subjects,
            "judged": self.judged,
            "not_applicable": self.idle,
            "missing": subjects - self.judged - self.idle,
            "mean": self.sum / self.scored if self.scored and not relative else None,
            "spread": fmean(spreads) if spreads else None,
            "labels": dict(self.labels.most_common()),
            "models": sorted(self.models),
        }
