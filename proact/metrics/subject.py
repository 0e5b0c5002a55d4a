"""One conversation as metrics see it, whether it was played here or comes from an outside log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec

from proact import jsonl
from proact.errors import InputError, UsageError
from proact.judges.effort import Effort, analyze, sizes
from proact.judges.turns import exchanges
from proact.labels import TAU
from proact.records import Action, Message, Reward, Trajectory, Verdict
from proact.rewards.specs import raw_counts

LONG_WORDS = 200


class Earned(msgspec.Struct, frozen=True, gc=False):
    """What of a reward line is measured; the rest of the line is not read."""

    id: str
    components: dict[str, float | None]
    task_score: float | None
    status: str
    interrupt_cost: float
    total: float | None
    independent: float | None
    spec: str
    relative: list[str] = []


class Evidence:
    """The verdicts and rewards that conversations are measured by, found by id."""

    def __init__(
        self,
        verdicts: Sequence[Path] = (),
        rewards: Sequence[Path] = (),
        tau: float = TAU,
        choice: Mapping[str, str] | None = None,
    ) -> None:
        self.tau = tau
        self.rewards: dict[str, Earned] = {}
        self.has_rewards = bool(rewards)
        self.specs: set[str] = set()
        self.relative: set[str] = set()
        self.judges: dict[str, set[str]] = {}
        self.by_subject: dict[str, list[Verdict]] = defaultdict(list)
        for path in rewards:
            self._read_rewards(path)
        specs: dict[str, set[str]] = defaultdict(set)
        choice = choice or {}
        for path in verdicts:
            for verdict in jsonl.read(path, Verdict):
                specs[verdict.judge].add(verdict.spec)
                if verdict.spec.startswith(choice.get(verdict.judge, "")):
                    self.add(verdict)
        for judge in [*choice, *specs]:
            _check_spec(judge, specs[judge], choice.get(judge, ""))

    def add(self, verdict: Verdict) -> None:
        self.judges.setdefault(verdict.judge, set()).add(verdict.model)
        self.by_subject[verdict.trajectory].append(verdict)

    def unmatched(self, measured: set[str]) -> list[str]:
        """The kinds of evidence of which none is on a conversation that was measured."""
        given = {"rewards": {*self.rewards}, "verdicts": {*self.by_subject}}
        return [kind for kind, found in given.items() if found and not measured & found]

    def _read_rewards(self, path: Path) -> None:
        for line in jsonl.lines(path):
            try:
                earned = msgspec.json.decode(line.raw, type=Earned)
            except (msgspec.MsgspecError, RecursionError):
                reward = jsonl.decode(line, Reward, path)
                earned = msgspec.convert(msgspec.to_builtins(reward), Earned)
            if self.rewards.setdefault(earned.id, earned) != earned:
                raise InputError(path, f"another reward of {earned.id!r} was read before", line=line.number, field="id")
            self.specs.add(earned.spec)
            self.relative.update(earned.relative)
        if len(self.specs) > 1:
            raise UsageError(f"the rewards were made under several specs ({', '.join(sorted(self.specs))}); keep one")


def _check_spec(judge: str, specs: set[str], chosen: str) -> None:
    """Raises UsageError unless the verdicts of a judge are of one spec or one of theirs is chosen."""
    if not specs:
        raise UsageError(f"there is no verdict of {judge!r}; see --verdicts")
    if sum(spec.startswith(chosen) for spec in specs) != 1:
        message = f"the verdicts of {judge} were given under: {', '.join(sorted(specs))}"
        raise UsageError(f"{message}; choose one with --verdict-spec {judge}=SPEC")


class Heard(NamedTuple):
    """The verdicts of one judge on one message (or the whole conversation), one for each repeat."""

    at: int | None
    verdicts: list[Verdict]

    @property
    def score(self) -> float | None:
        """The mean over repeats; None when the judge does not apply."""
        given = [verdict.score for verdict in self.verdicts if verdict.score is not None]
        return sum(given) / len(given) if given else None


class Subject(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One conversation to be measured, with everything that is known of it."""

    id: str
    conversation: str
    method: str
    task: str
    persona: str = ""
    family: str | None = None
    split: str | None = None
    seed: int = 0
    replicate: int = 0
    domain: str = ""
    action: Action | None = None
    messages: list[Message]
    line: Trajectory | None = None
    """The first line of a conversation that was played here."""
    reward: Earned | None = None
    measured_reward: float | None = None
    """The reward that an outside log states."""
    verdicts: dict[str, list[Verdict]] = {}
    evidence: Evidence

    def judged(self, judge: str) -> list[Heard] | None:
        """What a judge said of each subject, in the order of the messages; None when a verdict on any is not there."""
        found = self.verdicts.get(judge)
        if found is None:
            return None
        places: dict[tuple[int, str], list[Verdict]] = defaultdict(list)
        for verdict in found:
            # Two conflicts can lie in the same message.
            places[-1 if verdict.at is None else verdict.at, _subject_key(verdict)].append(verdict)
        if len(places) < max(verdict.detail.get("subjects", 1) for verdict in found):
            return None
        return [Heard(place if place >= 0 else None, places[place, key]) for place, key in sorted(places)]

    @cached_property
    def sizes(self) -> dict[str, int | None]:
        """Words of each side."""
        return sizes(self.messages)

    @cached_property
    def effort(self) -> Effort:
        """What the conversation cost its user."""
        return analyze(self.messages)

    @cached_property
    def counts(self) -> dict[str, float | None]:
        """Questions, rejections and satisfaction of a conversation that was played here; empty for a log."""
        return raw_counts(self.line, LONG_WORDS) if self.line else {}

    @cached_property
    def turns(self) -> list[int]:
        """Index of the message that ends each of the assistant's turns."""
        return [exchange.at for exchange in exchanges(self.messages)]


def _subject_key(verdict: Verdict) -> str:
    """Names the subject of a verdict in every pass over it; the verdicts of others may not say it."""
    named: str = verdict.detail.get("subject", "")
    return named or (verdict.id.removesuffix(f"~{verdict.repeat}") if verdict.repeat else verdict.id)


def by_judge(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    found: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        found[verdict.judge].append(verdict)
    return dict(found)
