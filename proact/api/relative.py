"""Trajectories against each other: the fronts of seeds/003."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import msgspec

from proact import console
from proact.api.loop import Court, elsewhere
from proact.errors import ProactError, UsageError
from proact.judges import Case, Setup
from proact.judges.asking import Outcome, again
from proact.judges.ruler import Ruler, TrajectoryScore, default_rubric
from proact.llm import Options, Sampling
from proact.records import Conversation

DEFAULT_RUBRIC = default_rubric()
SWALLOWED: list[ProactError] = []
"""Why `ruler_score_group(swallow_exceptions=True)` gave None, one error for each time."""
_OPTIONS = {
    "api_base": "base_url",
    "base_url": "base_url",
    "api_key": "api_key",
    "timeout": "timeout",
    "num_retries": "attempts",
}
_SAMPLING = {
    "temperature": "temperature",
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_completion_tokens",
}


async def ruler(
    message_lists: Sequence[list[dict[str, Any]]],
    judge_model: str = "openai/o3",
    extra_litellm_params: dict[str, Any] | None = None,
    rubric: str | None = DEFAULT_RUBRIC,
    tools: list[dict[str, Any]] | None = None,
    *,
    debug: bool = False,
    base_url: str | None = None,
    seed: int = 0,
    repeats: int = 1,
) -> list[TrajectoryScore]:
    """One score from 0 to 1 for each trajectory, in the caller's order; with several repeats, their mean.

    Scores compare only within the call. `extra_litellm_params` may hold temperature, max_tokens, timeout, num_retries,
    api_base and api_key. Raises JobError when the judge gives no score that can be used.
    """
    if not message_lists:
        return []
    cases = [
        Case(id=f"{number}", conversation=f"{number}", group="group", messages=messages, tools=tools or [])
        for number, messages in enumerate(message_lists, start=1)
    ]
    judge = Ruler()
    judge.setup = Setup(rubric=rubric or None)
    subject = next(iter(judge.subjects(cases)))
    options, sampling = _told(extra_litellm_params or {}, base_url)

    async def work() -> list[Outcome]:
        court = Court(judge_model, options, sampling)
        try:
            return [await court.judge(judge, again(subject, repeat, seed)) for repeat in range(repeats)]
        finally:
            await court.close()

    outcomes = await elsewhere(work())
    return [_score(case.id, outcomes, debug=debug) for case in cases]


async def ruler_score_group(
    group: Any,
    judge_model: str = "openai/o3",
    extra_litellm_params: dict[str, Any] | None = None,
    rubric: str | None = DEFAULT_RUBRIC,
    *,
    swallow_exceptions: bool = False,
    debug: bool = False,
    base_url: str | None = None,
    seed: int = 0,
) -> Any:
    """A copy of the group in which every trajectory has its score as `reward`, and keeps its own reward as
    `independent_reward` beside `ruler_score` and the explanation.

    A group is a list of dicts or Conversations, or an object with `trajectories` such as ART's. With
    `swallow_exceptions` a group that cannot be scored gives None and an entry of SWALLOWED.
    """
    trajectories = list(getattr(group, "trajectories", group))
    try:
        message_lists, tools = _competing(trajectories)
        scores = await ruler(
            message_lists,
            judge_model,
            extra_litellm_params,
            rubric,
            tools,
            debug=debug,
            base_url=base_url,
            seed=seed,
        )
    except ProactError as error:
        if not swallow_exceptions:
            raise
        SWALLOWED.append(error)
        return None
    by_id = {score.trajectory_id: score for score in scores}
    scored = [_scored(one, by_id[f"{number}"]) for number, one in enumerate(trajectories, start=1)]
    if not hasattr(group, "trajectories"):
        return scored
    copied = copy.copy(group)
    copied.trajectories = scored
    return copied


def _competing(trajectories: Sequence[Any]) -> tuple[list[list[dict[str, Any]]], list[dict[str, Any]] | None]:
    """The messages of each trajectory and the tools of all. Raises UsageError when they cannot be compared."""
    tools = [_part(trajectory, "tools") or [] for trajectory in trajectories]
    if any(getattr(trajectory, "additional_histories", None) for trajectory in trajectories):
        raise UsageError("additional histories cannot be scored")
    if any(other != tools[0] for other in tools):
        raise UsageError("the trajectories of the group had different tools, so they cannot compete")
    return [_messages(trajectory) for trajectory in trajectories], tools[0] if tools else None


def _told(extra: dict[str, Any], base_url: str | None) -> tuple[Options, Sampling]:
    if unknown := sorted(extra.keys() - _OPTIONS.keys() - _SAMPLING.keys()):
        there = ", ".join(sorted({*_OPTIONS, *_SAMPLING}))
        raise UsageError(f"extra_litellm_params: {unknown[0]!r} is not understood; there is: {there}")
    options = {_OPTIONS[name]: value for name, value in extra.items() if name in _OPTIONS}
    sampling = {_SAMPLING[name]: value for name, value in extra.items() if name in _SAMPLING}
    if base_url:
        options["base_url"] = base_url
    return Options(**options), Sampling(**{"temperature": 0.0, **sampling})


def _score(name: str, outcomes: list[Outcome], *, debug: bool) -> TrajectoryScore:
    found = [finding for outcome in outcomes for finding in outcome.findings if finding.case == name]
    score = fmean(finding.score for finding in found if finding.score is not None)
    if debug:
        console.note(f"trajectory {name}: {score:.3f} {found[0].rationale}")
    return TrajectoryScore(trajectory_id=name, explanation=found[0].rationale, score=score)


def _part(trajectory: Any, name: str) -> Any:
    return trajectory.get(name) if isinstance(trajectory, dict) else getattr(trajectory, name, None)


def _messages(trajectory: Any) -> list[dict[str, Any]]:
    messages = _part(trajectory, "messages")
    found = list(messages()) if callable(messages) else messages
    if not found:
        raise UsageError("a trajectory of the group has no messages")
    return list(found)


def _scored(trajectory: Any, score: TrajectoryScore) -> Any:
    numbers = {"independent_reward": _part(trajectory, "reward"), "ruler_score": score.score}
    said = {**numbers, "ruler_explanation": score.explanation}
    if isinstance(trajectory, dict):
        return {**trajectory, "reward": score.score, **said}
    if isinstance(trajectory, Conversation):
        return msgspec.structs.replace(trajectory, reward=score.score, metadata={**trajectory.metadata, **said})
    copied = copy.copy(trajectory)
    copied.metrics = {**trajectory.metrics, **numbers}
    copied.logs = [*trajectory.logs, f"RULER explanation: {score.explanation}"]
    copied.reward = score.score
    return copied
