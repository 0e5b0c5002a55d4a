"""Further terms of a reward: functions that a plugin adds, and scores that judges gave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from proact import jsonl
from proact.errors import MissingVerdict, UsageError
from proact.records import Trajectory, Verdict
from proact.registry import Registry

COMPONENTS: Registry[Callable[[Trajectory], float | None]] = Registry("reward component")
register = COMPONENTS.register


class Verdicts:
    """The scores of a verdicts file, by judge and trajectory; several repeats count as their mean."""

    def __init__(self, path: Path | None) -> None:
        self._scores: dict[tuple[str, str], list[float | None]] = defaultdict(list)
        specs: dict[str, set[str]] = defaultdict(set)
        for verdict in jsonl.read(path, Verdict) if path else ():
            specs[verdict.judge].add(verdict.spec)
            self._scores[verdict.judge, verdict.trajectory].append(verdict.score)
        self.judges = frozenset(specs)
        for judge, found in specs.items():
            if len(found) > 1:
                raise UsageError(f"{path} holds verdicts of {judge} under {len(found)} specs; keep one of them")

    def score(self, judge: str, trajectory: str) -> float | None:
        """The mean score, None when the judge says that it does not apply. Raises MissingVerdict without a verdict."""
        scores = self._scores.get((judge, trajectory))
        if scores is None:
            raise MissingVerdict(f"no verdict of {judge} on {trajectory}")
        given = [score for score in scores if score is not None]
        return sum(given) / len(given) if given else None


def component(name: str, trajectory: Trajectory, verdicts: Verdicts) -> float | None:
    """One further term. Raises UsageError when neither a plugin nor a judge provides it."""
    if name in COMPONENTS:
        return COMPONENTS[name](trajectory)
    if name in verdicts.judges:
        return verdicts.score(name, trajectory.id)
    known = sorted({*COMPONENTS, *verdicts.judges})
    raise UsageError(f"no component or judge called {name!r}; there is: {', '.join(known) or 'none (see --verdicts)'}")
