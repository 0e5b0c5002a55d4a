"""From trajectories to rewards: answers are scored, rollouts are priced."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from proact.domains import Score, domain
from proact.domains.base import NO_ANSWER, NOT_APPLICABLE
from proact.errors import SandboxError, UsageError
from proact.records import Reward, Trajectory
from proact.rewards.components import Verdicts, values
from proact.rewards.specs import Spec, interrupt_cost, raw_counts, total
from proact.sandbox import Program, Result, Sandbox

RANKED = "ranked"
"""Status of a reward whose task score compares only inside its group."""
NO_TASK_SCORE = ("feedback", "effort")
"""Judges whose scores say nothing of the task, whatever their range."""


def answers(trajectory: Trajectory) -> str | None:
    """The message that R_task is scored on: the last Execute of the rollout, None when there is none."""
    if not trajectory.rollout:
        return trajectory.assistant_msg if trajectory.action == "Execute" else None
    executed = [step.at for step in trajectory.rollout if step.action == "Execute"]
    return str(trajectory.messages[executed[-1]].get("content") or "") if executed else None


def scored(trajectories: Iterable[Trajectory], sandbox: Sandbox) -> Iterator[tuple[Trajectory, Score | SandboxError]]:
    """Every trajectory with its score, in order; programs run many at a time. A sandbox failure is not a score."""
    waiting: deque[tuple[Trajectory, str | None, str | None]] = deque()

    def programs() -> Iterator[Program]:
        for number, trajectory in enumerate(trajectories):
            answer = answers(trajectory)
            program = None if answer is None else domain(trajectory.state.domain).program(trajectory.state, answer)
            waiting.append((trajectory, answer, f"{number}" if program else None))
            if program:
                yield _named(program, f"{number}")

    for result in sandbox.run_many(programs()):
        while waiting and waiting[0][2] != result.id:
            yield _score(*waiting.popleft()[:2], None)
        yield _score(*waiting.popleft()[:2], result)
    while waiting:
        yield _score(*waiting.popleft()[:2], None)


def _named(program: Program, name: str) -> Program:
    return Program(id=name, code=program.code, tests=program.tests, setup=program.setup, limits=program.limits)


def _score(
    trajectory: Trajectory, answer: str | None, result: Result | None
) -> tuple[Trajectory, Score | SandboxError]:
    state = trajectory.state
    kind = domain(state.domain)
    if not kind.applies(state):
        return trajectory, NOT_APPLICABLE
    if answer is None:
        return trajectory, NO_ANSWER
    try:
        found: object = kind.score(state, answer, result)
    except SandboxError as error:
        return trajectory, error
    if not isinstance(found, Score):
        raise UsageError(f"domain {state.domain} gave {found!r} for {trajectory.id}; expected a Score")
    return trajectory, found


def reward(trajectory: Trajectory, score: Score, spec: Spec, verdicts: Verdicts) -> Reward:
    """What a trajectory earned under a spec.

    Raises MissingVerdict when a judge's score is due and not there, UsageError when a component cannot be taken.
    """
    counts = raw_counts(trajectory, spec.long_words)
    components = dict(counts)
    for name in spec.components:
        found = values(name, trajectory, verdicts, spec.tau)
        if taken := components.keys() & found.keys():
            raise UsageError(f"component {name!r}: the rewards hold another number called {min(taken)!r}; rename it")
        components |= found
    cost = interrupt_cost(counts, spec)
    value, status = score.value, score.status
    if spec.task_score == "all" and value is not None:
        value = float(value >= 1.0)
    # A weight of 0 lets a judge replace the task; the reward that is kept beside it still measures the task.
    independent = None if value is None else round((spec.w_task or 1.0) * value - cost, 9)
    if spec.task_score not in ("fraction", "all"):
        value, status = _judged(trajectory, spec.task_score, verdicts)
    earned = total(value, cost, components, spec)
    return Reward(
        id=trajectory.id,
        group=trajectory.group,
        components=components,
        task_score=value,
        status=status,
        tests=score.tests,
        tier=score.tier,
        layers=score.layers,
        independent=independent,
        relative=verdicts.relative([spec.task_score, *(name for name, weight in spec.components.items() if weight)]),
        interrupt_cost=round(cost, 9),
        total=None if earned is None else round(earned, 9),
        spec=spec.label,
    )


def _judged(trajectory: Trajectory, judge: str, verdicts: Verdicts) -> tuple[float | None, str]:
    if answers(trajectory) is None:
        return NO_ANSWER.value, NO_ANSWER.status
    value = verdicts.score(judge, trajectory.id)
    if value is None:
        return None, NOT_APPLICABLE.status
    if judge in NO_TASK_SCORE or not 0 <= value <= 1:
        wanted = f"a task score is from 0 to 1; weigh it with --component {judge}=WEIGHT"
        raise UsageError(f"--task-score {judge}: gave {value:g} for {trajectory.id}, and {wanted}")
    return value, RANKED if verdicts.relative([judge]) else "judged"
