"""Whole methods for library users: the document's evaluator of batches, with joins by id and right directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from proact.errors import JobError, UsageError
from proact.metrics import METRICS
from proact.metrics.aggregate import aggregate
from proact.metrics.compare import compare
from proact.records import Measured

Rows = Sequence[Mapping[str, Any]]
AVERAGED = (
    "task_success_rate",
    "avg_turns",
    "avg_user_tokens",
    "avg_total_tokens",
    "avg_enforcement_count",
    "avg_disappointment_count",
    "avg_compliance_score",
    "conflict_resolution_accuracy",
    "over_personalization_rate",
)


class ConversationJudge(Protocol):
    """Whoever can evaluate a conversation, such as `LLMJudge`; raises JobError when there is no verdict."""

    def evaluate_conversation(
        self,
        conversation: Sequence[dict[str, Any]],
        user_preferences: Sequence[dict[str, str]],
        problem: str,
        ground_truth: str,
        domain: str,
        conflict_scenarios: Sequence[dict[str, Any]] | None = None,
    ) -> Any: ...


class _Case(NamedTuple):
    task: str
    persona: str
    conversation: Mapping[str, Any]
    profile: Mapping[str, Any]
    problem: Mapping[str, Any]


class BatchEvaluator:
    """Evaluates conversations of one or several methods (seeds/001).

    Conversations find their profile and problem by `profile_id` and `problem_id`, or, where nothing has ids, by
    position in lists of the same length; anything else is refused with UsageError.
    """

    def __init__(self, judge: ConversationJudge) -> None:
        self.judge = judge

    def evaluate_method(
        self, method_name: str, conversations: Rows, user_profiles: Rows, problems: Rows
    ) -> dict[str, Any]:
        """The document's averages of one method. A conversation that could not be judged is in no average: it is
        counted under `missing` and named under `failures`; what does not apply anywhere is None."""
        rows, failures = self._measured(method_name, conversations, user_profiles, problems)
        return _averages(method_name, rows, failures)

    def compare_methods(
        self, results_by_method: Mapping[str, Rows], user_profiles: Rows, problems: Rows
    ) -> dict[str, dict[str, Any]]:
        """`per_method` and `comparison` of the document: for each of its averages the values, the best method in the
        metric's own direction (None for a tie), and beside them the paired tests."""
        measured = {
            name: self._measured(name, conversations, user_profiles, problems)
            for name, conversations in results_by_method.items()
        }
        return {
            "per_method": {name: _averages(name, rows, failures) for name, (rows, failures) in measured.items()},
            "comparison": compare(
                {name: rows for name, (rows, _) in measured.items()}, [METRICS[name] for name in AVERAGED]
            ),
        }

    def _measured(
        self, method: str, conversations: Rows, profiles: Rows, problems: Rows
    ) -> tuple[list[Measured], list[dict[str, Any]]]:
        if not conversations:
            raise UsageError(f"method {method!r} has no conversations")
        rows, failures = [], []
        for index, case in enumerate(_joined(conversations, profiles, problems)):
            try:
                rows.append(self._row(method, index, case))
            except JobError as error:
                fields = [METRICS[name].field for name in AVERAGED]
                rows.append(_row(method, index, case, {}, missing=fields))
                failures.append({"index": index, "error": type(error).__name__, "message": str(error)})
        return rows, failures

    def _row(self, method: str, index: int, case: _Case) -> Measured:
        found = self.judge.evaluate_conversation(
            conversation=_messages(case.conversation),
            user_preferences=case.profile["preferences"],
            problem=case.problem["problem"],
            ground_truth=case.problem["solution"],
            domain=case.problem["domain"],
            conflict_scenarios=case.conversation.get("conflict_scenarios"),
        )
        scores = found.preference_compliance_scores
        values: dict[str, float | None] = {"compliance_score": sum(scores) / len(scores) if scores else None}
        for name in AVERAGED:
            field = METRICS[name].field
            if field not in values:
                value = getattr(found, field)
                values[field] = None if value is None else float(value)
        # A judge of one's own may not say how many of the conflicts applied.
        conflicts = getattr(found, "conflicts", None)
        return _row(method, index, case, values, conflicts=conflicts)


def _row(
    method: str,
    index: int,
    case: _Case,
    values: dict[str, float | None],
    missing: Sequence[str] = (),
    conflicts: int | None = None,
) -> Measured:
    known = len(case.conversation.get("conflict_scenarios") or []) if conflicts is None else conflicts
    return Measured(
        id=f"{method}/{index}",
        conversation=f"{method}/{index}",
        method=method,
        task=case.task,
        persona=case.persona,
        metrics=values,
        missing=list(missing),
        not_applicable=[field for field, value in values.items() if value is None],
        weights={"conflict_resolution_accuracy": float(known or 1)},
    )


def _averages(method: str, rows: list[Measured], failures: list[dict[str, Any]]) -> dict[str, Any]:
    means = {name: aggregate(rows, METRICS[name]).mean for name in AVERAGED}
    counts = {"method": method, "n_conversations": len(rows)}
    return {**counts, **means, "missing": len(failures), "failures": failures}


def _joined(conversations: Rows, profiles: Rows, problems: Rows) -> list[_Case]:
    by_profile, by_problem = _join("profile", conversations, profiles), _join("problem", conversations, problems)
    return [
        _Case(name, persona, conversation, profile, problem)
        for conversation, (persona, profile), (name, problem) in zip(conversations, by_profile, by_problem, strict=True)
    ]


def _join(kind: str, conversations: Rows, rows: Rows) -> list[tuple[str, Mapping[str, Any]]]:
    """The row of each conversation, with its name."""
    key = f"{kind}_id"
    named: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if (name := row.get(key, row.get("id"))) is not None and named.setdefault(f"{name}", row) is not row:
            raise UsageError(f"two {kind}s are called {name!r}")
    if any(key in conversation for conversation in conversations):
        wanted = [f"{conversation.get(key)}" for conversation in conversations]
        if unknown := sorted(set(wanted) - named.keys()):
            raise UsageError(f"no {kind} is called {unknown[0]!r}")
        return [(name, named[name]) for name in wanted]
    if named:
        raise UsageError(f"the {kind}s have ids and no conversation says which is its own: give each a {key}")
    if len(rows) != len(conversations):
        raise UsageError(
            f"{len(conversations)} conversations and {len(rows)} {kind}s: give each conversation a {key}, or as many"
        )
    return [(f"{index}", row) for index, row in enumerate(rows)]


def _messages(conversation: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    found = conversation.get("turns", conversation.get("messages"))
    if found is None:
        raise UsageError("a conversation holds neither turns nor messages")
    messages: Sequence[dict[str, Any]] = found
    return messages
