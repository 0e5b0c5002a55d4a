"""Does the simulated user play fair? What it gave away unasked, made up, said twice or cut off, and how patient it was.

Reads what was said, not only what the simulator says of itself. A fact counts as told when the reply holds nearly all
of its words, and of those by which it goes beyond the dialogue so far; a value counts as made up when a number, a
quoted text or an identifier stands in no fact and was not said before. Paraphrase without a value is not judged.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from statistics import fmean
from typing import Any, NamedTuple

from proact.records import Fact, Persona, ReactionMeta, Trajectory
from proact.rewards.breakeven import specified
from proact.stats.intervals import wilson
from proact.text import content_words, questions
from proact.users import Situation, rule
from proact.users import personas as numbers

NEARLY_ALL = 0.8
EXAMPLES = 5
_VALUE = re.compile(r"\d+(?:\.\d+)?|`[^`]+`|\"[^\"]+\"|\b\w*_\w+\b|\b\w+(?=\()")


class Exchange(NamedTuple):
    """A question, and the reply to it."""

    trajectory: str
    persona: Persona
    facts: list[Fact]
    asked: set[str]
    """Ids of the facts that the question addresses."""
    told: set[str]
    before: set[str]
    """Ids of the facts that had been told earlier."""
    invented: set[str]
    draw: tuple[object, ...]
    """What the chance of being answered is keyed by; branches share it."""
    likely: float | None
    """The probability, as specified, that it is answered; None for a simulator with numbers of its own."""
    meta: ReactionMeta


def exchanges(trajectory: Trajectory) -> Iterator[Exchange]:
    """The questions of a rollout with their replies."""
    facts, asked_before = _facts(trajectory), _questions_before(trajectory)
    before: set[str] = set()
    for number, step in enumerate(trajectory.rollout):
        message = str(trajectory.messages[step.at].get("content") or "")
        if step.action == "Clarify":
            reply = _reply(trajectory, step.at)
            said = [str(item.get("content") or "") for item in trajectory.messages[: step.at + 1]]
            told = {fact.id for fact in facts if _tells(reply, fact, said)} | set(step.meta.revealed)
            known = [trajectory.state.intent or "", *(fact.text for fact in facts), *said]
            likely = numbers.ANSWERS[trajectory.persona.patience] * numbers.WEARIES**asked_before
            yield Exchange(
                trajectory=trajectory.id,
                persona=trajectory.persona,
                facts=facts,
                asked=_asked(trajectory, message),
                told=told,
                before=set(before),
                invented=_values(reply) - _values("\n".join(known)),
                draw=(trajectory.seed, trajectory.state.id, trajectory.replicate, trajectory.turn + number),
                likely=likely if specified(trajectory.user_model) else None,
                meta=step.meta,
            )
            before |= told
            asked_before += len(questions(message))


class Audit:
    """Takes in trajectories one by one."""

    def __init__(self) -> None:
        self._exchanges: list[Exchange] = []
        self._rollouts = 0
        self._cut = 0

    def add(self, trajectory: Trajectory) -> None:
        # The later lines of a conversation are part of its first one.
        if trajectory.is_mainline and trajectory.decision_point:
            return
        found = list(exchanges(trajectory))
        self._exchanges += found
        if found:
            self._rollouts += 1
            last = found[-1]
            refused = last.meta.reject_signal or last.meta.silence
            self._cut += bool(refused and {fact.id for fact in last.facts} - last.before - last.told)

    def report(self) -> dict[str, Any]:
        """Rates over the questions that were asked, with their 95 % intervals and the first few offenders."""
        every = self._exchanges
        return {
            "questions": len(every),
            "unasked": _rate(every, lambda item: bool(item.told - item.asked)),
            "invented": _rate(every, lambda item: bool(item.invented)),
            "repeated": _rate(every, lambda item: bool(item.told & item.before)),
            "early_stops": _share(self._cut, self._rollouts),
            "patience": [_patience(name, items) for name, items in sorted(self._by_persona().items())],
        }

    def _by_persona(self) -> dict[str, list[Exchange]]:
        found: dict[str, list[Exchange]] = defaultdict(list)
        for item in self._exchanges:
            found[item.persona.name].append(item)
        return found


def _patience(name: str, items: list[Exchange]) -> dict[str, Any]:
    heard = list({item.draw: item for item in items if not item.meta.silence}.values())
    specified_rates = [item.likely for item in heard if item.likely is not None]
    clear = [item.meta.answer_clarity for item in items if item.meta.answered_clarification]
    own = len(specified_rates) < len(heard) or not heard
    observed = _share(sum(not item.meta.reject_signal for item in heard), len(heard))
    expected = None if own else fmean(specified_rates)
    agrees = None
    if expected is not None and observed["low"] is not None:
        agrees = observed["low"] <= expected <= observed["high"]
    return {
        "persona": name,
        "specified": expected,
        "observed": observed,
        "agrees": agrees,
        "clarity_specified": None if own else numbers.STATES[items[0].persona.expertise],
        "clarity_observed": fmean(clear) if clear else None,
        "n_clarity": len(clear),
    }


def _rate(items: list[Exchange], wrong: Callable[[Exchange], bool]) -> dict[str, Any]:
    found = [item.trajectory for item in items if wrong(item)]
    return {**_share(len(found), len(items)), "examples": found[:EXAMPLES]}


def _share(count: int, n: int) -> dict[str, Any]:
    if not n:
        return {"mean": None, "low": None, "high": None, "n": 0}
    interval = wilson(count / n, n)
    return {"mean": interval.mean, "low": interval.low, "high": interval.high, "n": n}


def _situation(trajectory: Trajectory, message: str) -> Situation:
    return Situation(
        state=trajectory.state,
        persona=trajectory.persona,
        messages=[{"role": "assistant", "content": message}],
        action="Clarify",
        turn=trajectory.turn,
        asked_before=0,
        completed=None,
        seed=trajectory.seed,
        replicate=trajectory.replicate,
        sample=0,
    )


def _facts(trajectory: Trajectory) -> list[Fact]:
    return _situation(trajectory, "").facts


def _asked(trajectory: Trajectory, message: str) -> set[str]:
    return {fact.id for fact in rule.addressed(_situation(trajectory, message))}


def _questions_before(trajectory: Trajectory) -> int:
    earlier = trajectory.messages[: trajectory.at]
    return sum(len(questions(str(item.get("content") or ""))) for item in earlier if item["role"] == "assistant")


def _reply(trajectory: Trajectory, at: int) -> str:
    after = trajectory.messages[at + 1 : at + 2]
    return str(after[0].get("content") or "") if after and after[0]["role"] == "user" else ""


def _tells(reply: str, fact: Fact, said: Iterable[str]) -> bool:
    whole = content_words(fact.text)
    beyond = whole - frozenset[str]().union(*map(content_words, said))
    heard = content_words(reply)
    return bool(beyond) and all(len(part & heard) >= NEARLY_ALL * len(part) for part in (whole, beyond))


def _values(text: str) -> set[str]:
    return {value.strip("`\"'").casefold() for value in _VALUE.findall(text)}
