"""Further terms of a reward: functions that a plugin adds, and scores that judges gave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from statistics import fmean, pstdev
from typing import NamedTuple

from proact import jsonl
from proact.errors import MissingVerdict, UsageError
from proact.labels import gated
from proact.records import Trajectory, Verdict
from proact.registry import Registry, finite

COMPONENTS: Registry[Callable[[Trajectory], float | None]] = Registry("reward component")
register = COMPONENTS.register
FEEDBACK = "feedback"


class _Found(NamedTuple):
    subject: str
    subjects: int
    label: str
    score: float | None
    confidence: float


class Verdicts:
    """The verdicts of a file, by judge and trajectory; only those of `wanted` are kept, or all.

    A judge that has them under several specs needs a choice.
    """

    def __init__(
        self, path: Path | None, choice: Mapping[str, str] | None = None, wanted: Collection[str] | None = None
    ) -> None:
        self._path, self._choice, self._wanted = path, choice or {}, wanted
        self._found: dict[tuple[str, str, str], list[_Found]] = defaultdict(list)
        self._specs: dict[str, set[str]] = defaultdict(set)
        self._relative: set[str] = set()
        self._models: dict[str, set[str]] = defaultdict(set)
        for verdict in jsonl.read(path, Verdict) if path else ():
            self._add(verdict)

    def _add(self, verdict: Verdict) -> None:
        judge, detail = verdict.judge, verdict.detail
        self._specs[judge].add(verdict.spec)
        if self._wanted is not None and judge not in self._wanted:
            return
        self._models[judge].add(verdict.model)
        if detail.get("relative"):
            self._relative.add(judge)
        subject, subjects = detail.get("subject", f"{verdict.at}"), detail.get("subjects", 1)
        found = _Found(subject, subjects, verdict.label or "", verdict.score, verdict.confidence or 0.0)
        self._found[judge, verdict.spec, verdict.trajectory].append(found)

    @property
    def judges(self) -> list[str]:
        return sorted(self._specs)

    def relative(self, judges: Iterable[str]) -> list[str]:
        """Those of the judges whose scores compare only inside a group."""
        return sorted(self._relative.intersection(judges))

    def models(self, judges: Iterable[str]) -> set[str]:
        """Whom these judges asked."""
        return {model for judge in judges for model in self._models.get(judge, ())}

    def values(self, judge: str, trajectory: str, tau: float) -> dict[str, float | None]:
        """A judge's score as numbers by name: the mean over its subjects, None when it does not apply, and the spread
        over several passes. Feedback is the mean over ungated turns, 0 when there is none, and how many they are.

        Raises MissingVerdict when a verdict on any subject is not there.
        """
        subjects = self._subjects(judge, trajectory)
        if judge == FEEDBACK:
            turns = [fmean(kept) for found in subjects if (kept := _ungated(found, tau))]
            return {judge: fmean(turns) if turns else 0.0, f"{judge}_n": len(turns)}
        scores = [[one.score for one in found if one.score is not None] for found in subjects]
        given = [repeats for repeats in scores if repeats]
        values: dict[str, float | None] = {judge: fmean(map(fmean, given)) if given else None}
        if any(len(repeats) > 1 for repeats in given):
            values[f"{judge}_spread"] = fmean(map(pstdev, given))
        return values

    def score(self, judge: str, trajectory: str) -> float | None:
        """The mean score of a judge, None when it does not apply. Raises MissingVerdict as `values` does."""
        return self.values(judge, trajectory, 0.0)[judge]

    def _subjects(self, judge: str, trajectory: str) -> list[list[_Found]]:
        subjects: dict[str, list[_Found]] = defaultdict(list)
        for found in self._found.get((judge, self._spec(judge), trajectory), ()):
            subjects[found.subject].append(found)
        if not subjects:
            raise MissingVerdict(f"no verdict of {judge} on {trajectory}; a branch has one after judge --lines all")
        due = max(found.subjects for repeats in subjects.values() for found in repeats)
        if len(subjects) < due:
            raise MissingVerdict(f"{judge} has {len(subjects)} of {due} verdicts on {trajectory}")
        return list(subjects.values())

    def _spec(self, judge: str) -> str:
        specs = self._specs.get(judge, set())
        if not specs:
            raise UsageError(f"there is no verdict of {judge!r}; see --verdicts")
        if judge in self._choice:
            fitting = [spec for spec in specs if spec.startswith(self._choice[judge])]
        else:
            fitting = list(specs)
        if len(fitting) != 1:
            there = ", ".join(sorted(specs))
            message = f"{self._path} holds verdicts of {judge} under {there}"
            raise UsageError(f"{message}; choose one with --verdict-spec {judge}=SPEC")
        return fitting[0]


def values(name: str, trajectory: Trajectory, verdicts: Verdicts, tau: float) -> dict[str, float | None]:
    """One further term, and the numbers that it was made of.

    Raises UsageError when neither a plugin nor a judge provides it and when what a plugin gives is no number,
    MissingVerdict as `Verdicts.values` does.
    """
    if name in COMPONENTS:
        return {name: _given(name, COMPONENTS[name](trajectory), trajectory)}
    if name in verdicts.judges:
        return verdicts.values(name, trajectory.id, tau)
    known = sorted({*COMPONENTS, *verdicts.judges})
    raise UsageError(f"no component or judge called {name!r}; there is: {', '.join(known) or 'none (see --verdicts)'}")


def _given(name: str, value: object, trajectory: Trajectory) -> float | None:
    if value is None or (number := finite(value)) is not None:
        return None if value is None else number
    raise UsageError(f"component {name!r} gave {value!r} for {trajectory.id}; expected a finite number or None")


def _ungated(found: list[_Found], tau: float) -> list[float]:
    scored = (one for one in found if one.score is not None)
    return [one.score for one in scored if one.score is not None and gated(one.label, one.confidence, tau)[1]]
