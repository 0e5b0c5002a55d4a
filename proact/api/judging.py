"""Answers, preferences, conflicts and effort: the fronts of seeds/001."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import msgspec

from proact.api.loop import Court, wait
from proact.api.metrics import ConversationMetrics, JudgmentResult, compliance_of, metrics, result
from proact.errors import UsageError
from proact.judges import Case, Judge
from proact.judges.asking import Outcome
from proact.judges.compliance import Compliance
from proact.judges.conflict import Conflict
from proact.judges.correctness import Correctness
from proact.judges.effort import analyze
from proact.judges.turns import said
from proact.llm import Options, Sampling
from proact.records import ConflictScenario, Message, Preference

T = TypeVar("T")
Preferences = Sequence[dict[str, str]]


class LLMJudge:
    """Judges answers and whole conversations. Every method raises JobError when there is no verdict.

    A model without an endpoint of its own needs `base_url`, or its name as `hf:NAME`.
    """

    def __init__(
        self,
        model_name: str = "meta-llama/Llama-3.3-70B-Instruct",
        temperature: float = 0.0,
        max_tokens: int = 1024,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 60.0,
        max_concurrent: int = 32,
        max_retries: int = 3,
    ) -> None:
        self.model_name, self.temperature, self.max_tokens = model_name, temperature, max_tokens
        options = Options(
            base_url=base_url, api_key=api_key, timeout=timeout, concurrency=max_concurrent, attempts=max_retries
        )
        self._court = Court(model_name, options, Sampling(temperature=temperature, max_completion_tokens=max_tokens))

    def judge_task_correctness(
        self, problem: str, ground_truth: str, agent_final_answer: str, domain: str
    ) -> tuple[bool, float, str]:
        """(is_correct, confidence, reasoning) of a final answer. Raises UsageError without a ground truth."""
        outcome = wait(self._correctness(problem, ground_truth, agent_final_answer, domain))
        found = outcome.findings[0]
        if found.score is None:
            raise UsageError("a correct answer cannot be told without a ground truth")
        return found.score == 1.0, found.confidence or 0.0, found.rationale

    def judge_preference_compliance(
        self,
        user_preferences: Preferences,
        query: str,
        agent_response: str,
        context_signals: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Which preferences apply, were followed and violated, by their numbers from 1. `compliance_score` is computed
        from them, None when none applies."""
        case = _case(query, agent_response, preferences=_preferences(user_preferences), context_signals=context_signals)
        return compliance_of(wait(self._one(Compliance(), case)).findings[0])

    def judge_conflict_resolution(
        self,
        conflicting_preferences: Preferences,
        expected_preference_idx: int,
        query: str,
        agent_response: str,
    ) -> dict[str, Any]:
        """Which of the preferences was applied (its number from 1, 0 when unclear), and whether that is the expected
        one, whose index counts from 0. The model is not told which one is expected."""
        scenario = _scenario(conflicting_preferences, expected_preference_idx, 1)
        found = wait(self._one(Conflict(), _case(query, agent_response, conflict_scenarios=[scenario]))).findings[0]
        return {**found.detail, "explanation": found.rationale}

    def judge_response(
        self,
        problem: str,
        ground_truth: str,
        agent_response: str,
        domain: str,
        user_preferences: Preferences = (),
        *,
        conflict: tuple[Preferences, int] | None = None,
    ) -> JudgmentResult:
        """A response to a problem from every side at once; `conflict` is the preferences and the expected index."""
        preferences = _preferences(user_preferences)
        scenarios = [_scenario(*conflict, 1)] if conflict else []
        case = _case(problem, agent_response, preferences=preferences, conflict_scenarios=scenarios)
        correct, complied, resolved = wait(
            _together(
                self._correctness(problem, ground_truth, agent_response, domain),
                self._one(Compliance(), case),
                self._one(Conflict(), case),
            )
        )
        return result(correct, complied, resolved, preferences, scenarios)

    def evaluate_conversation(
        self,
        conversation: Sequence[dict[str, Any]],
        user_preferences: Preferences,
        problem: str,
        ground_truth: str,
        domain: str,
        conflict_scenarios: Sequence[dict[str, Any]] | None = None,
    ) -> ConversationMetrics:
        """Metrics of a whole conversation; compliance and over-personalization are one call per turn."""
        case = Case(
            id="conversation",
            conversation="conversation",
            messages=list(conversation),
            domain=domain,
            preferences=_preferences(user_preferences),
            problem=problem,
            solution=ground_truth,
            conflict_scenarios=msgspec.convert(list(conflict_scenarios or []), list[ConflictScenario]),
        )
        judges: list[Judge[Any]] = [Correctness(), Compliance(), Conflict()]
        return metrics(case, *wait(_together(*(self._every(judge, case) for judge in judges))))

    def close(self) -> None:
        """Give up the connection; the judge opens a new one when it is used again."""
        wait(self._court.close())

    async def _correctness(self, problem: str, truth: str, answer: str, domain: str) -> Outcome:
        case = _case(problem, answer, problem=problem, solution=truth, domain=domain)
        return await self._one(Correctness(), msgspec.structs.replace(case, answer_at=1))

    async def _one(self, judge: Judge[Any], case: Case) -> Outcome:
        return (await self._every(judge, case))[0]

    async def _every(self, judge: Judge[Any], case: Case) -> list[Outcome]:
        subjects = list(judge.subjects(case))
        if not subjects:
            return []
        return await _together(*(self._court.judge(judge, subject) for subject in subjects))


def analyze_user_effort(conversation: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The user's effort by category, counted without a model: messages, counts, and the weighted sum."""
    found = analyze(conversation)
    texts = {category: [said(conversation[at]) for at in indices] for category, indices in found.categories.items()}
    return {
        "categories": texts,
        "counts": {category: len(said_so) for category, said_so in texts.items()},
        "total_effort_instances": found.instances,
        "weighted_effort_score": found.score,
    }


async def _together(*work: Coroutine[Any, Any, T]) -> list[T]:
    return list(await asyncio.gather(*work))


def _case(query: str, response: str, **fields: Any) -> Case:
    messages: list[Message] = [{"role": "user", "content": query}, {"role": "assistant", "content": response}]
    return Case(id="response", conversation="response", messages=messages, **fields)


def _preferences(preferences: Preferences) -> list[Preference]:
    return msgspec.convert(list(preferences), list[Preference])


def _scenario(preferences: Preferences, expected: int, at: int) -> ConflictScenario:
    return ConflictScenario(turn_idx=at, preferences=_preferences(preferences), expected_idx=expected)
