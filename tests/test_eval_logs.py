"""Outside logs in the document's shape: its metric names, and the right direction for each of the six it compares."""

from __future__ import annotations

import json
from typing import Any

import pytest
from evaluation import verdict
from support import Cli, Row, read_lines, succeeded, write_lines

from proact.api import AVERAGED, BatchEvaluator
from proact.errors import ReplyError, UsageError
from proact.judges.logs import Logs

PREFERENCES = [
    {"condition": "always", "preference": "Use bullet points"},
    {"condition": "when explaining", "preference": "Be short"},
]
SCENARIO = {"turn_idx": 1, "preferences": PREFERENCES, "expected_idx": 1}
PROFILES = [{"preferences": PREFERENCES}] * 2
PROBLEMS = [
    {"problem": "What is 2 + 2?", "solution": "4", "domain": "math"},
    {"problem": "Explain tea.", "solution": "Leaves in water.", "domain": "reasoning"},
]
DIRECTIONS = {
    "task_success_rate": True,
    "avg_user_tokens": False,
    "avg_total_tokens": False,
    "avg_compliance_score": True,
    "conflict_resolution_accuracy": True,
    "over_personalization_rate": False,
}


def turns(*texts: str) -> list[Row]:
    return [{"role": ("user", "assistant")[index % 2], "content": text} for index, text in enumerate(texts)]


GOOD: list[Row] = [
    {"turns": turns("What is 2 + 2?", "4"), "conflict_scenarios": [SCENARIO]},
    {"turns": turns("Explain tea.", "- Leaves", "Thanks.", "You're welcome!")},
]
POOR: list[Row] = [
    {
        "turns": turns("What is 2 + 2?", "I think that it is five.", "That's not right.", "Still 5, I am sure of it."),
        "conflict_scenarios": [SCENARIO],
    },
    {"turns": turns("Explain tea.", "Tea is long to explain, and coffee too.", "Too long, please use bullets.")},
]


def judged(file: str, right: bool) -> list[Row]:
    rows = []
    for name, log in zip(Logs(file_path(file)).names, GOOD if right else POOR, strict=True):
        rows.append(verdict(name, "correctness", 1, score=float(right), label="correct" if right else "incorrect"))
        rows.append(
            verdict(name, "compliance", 1, score=float(right), detail={"over_personalization": [] if right else [1]})
        )
        conflicts = log.get("conflict_scenarios", [])
        found: Row = (
            {"score": float(right), "label": "resolved"} if conflicts else {"score": None, "label": "not_applicable"}
        )
        rows.append(verdict(name, "conflict", 1 if conflicts else None, **found))
    return rows


def file_path(file: str) -> Any:
    return write_lines(file, GOOD if file.startswith("good") else POOR)


def test_logs_of_the_document_give_its_metrics_and_the_right_best(cli: Cli) -> None:
    write_lines("v.jsonl", judged("good.jsonl", True) + judged("poor.jsonl", False))
    write_lines("profiles.jsonl", PROFILES)
    write_lines("problems.jsonl", PROBLEMS)
    joined = ("--profiles", "profiles.jsonl", "--problems", "problems.jsonl", "--join", "position")
    arguments = ("--method", "good=good.jsonl", "--method", "poor=poor.jsonl", "--verdicts", "v.jsonl", *joined)
    report = json.loads(succeeded(cli("eval", *arguments, "--out", "eval", "--no-plot", "--json")).out)
    for method in ("good", "poor"):
        assert {"method", "n_conversations", *AVERAGED} <= report["per_method"][method].keys()
    good = report["per_method"]["good"]
    # 4 + 1 and 2 + 1 words of the user; 1 and 1 + 2 of the assistant. The courtesy at the end is a turn.
    assert good["avg_user_tokens"] == pytest.approx((4 + 3) / 2)
    assert good["avg_turns"] == pytest.approx(1.5)
    assert (good["task_success_rate"], good["conflict_resolution_accuracy"]) == (1.0, 1.0)
    for name, upwards in DIRECTIONS.items():
        entry = report["comparison"][name]
        assert entry["higher_is_better"] is upwards, name
        pick = max if upwards else min
        assert entry["best_value"] == pick(entry["values"].values())
    assert report["comparison"]["over_personalization_rate"]["best"] == "good"
    assert report["comparison"]["avg_total_tokens"]["best"] == "good"
    assert report["comparison"]["avg_compliance_score"]["tasks"] == 2
    rows = {row["conversation"]: row for row in read_lines("eval/conversations.jsonl")}
    assert sum(row["metrics"]["conflict_resolution_accuracy"] is None for row in rows.values()) == 2


def test_problems_are_shared_by_their_ids(cli: Cli) -> None:
    for file, logs in (("one.jsonl", GOOD), ("two.jsonl", POOR[::-1])):
        order = (0, 1) if file == "one.jsonl" else (1, 0)
        write_lines(file, [{**log, "problem_id": f"p{n}"} for n, log in zip(order, logs, strict=True)])
    write_lines("problems.jsonl", [{**problem, "problem_id": f"p{n}"} for n, problem in enumerate(PROBLEMS)])
    arguments = ("--method", "a=one.jsonl", "--method", "b=two.jsonl", "--problems", "problems.jsonl")
    report = json.loads(succeeded(cli("eval", *arguments, "--out", "eval", "--no-plot", "--json")).out)
    (duel,) = report["comparison"]["avg_total_tokens"]["pairs"]
    assert duel["n"] == 2
    assert {row["task"] for row in read_lines("eval/conversations.jsonl")} == {"p0", "p1"}
    assert "task_success_rate" in report["not_measured"]


class Scripted:
    """A judge that knows the good answers, and fails on what it is told to."""

    def __init__(self, fails_on: str = "") -> None:
        self.fails_on, self.seen = fails_on, 0

    def evaluate_conversation(
        self,
        conversation: Any,
        user_preferences: Any,
        problem: str,
        ground_truth: str,
        domain: str,
        conflict_scenarios: Any = None,
    ) -> Any:
        self.seen += 1
        if self.fails_on and self.fails_on in conversation[1]["content"]:
            raise ReplyError("no verdict", "{}")
        good = conversation in [log["turns"] for log in GOOD]
        size = [sum(len(turn["content"].split()) for turn in conversation[side::2]) for side in (0, 1)]

        class Found:
            task_success = good
            turns_to_success = 1 if good else None
            total_turns = len(conversation) // 2
            user_token_count, agent_token_count = size
            total_token_count = sum(size)
            enforcement_count = disappointment_count = 0 if good else 1
            preference_compliance_scores = [float(good)] * (problem != "Explain tea.")
            conflict_resolution_accuracy = float(good) if conflict_scenarios else None
            over_personalization_rate = 0.0 if good else 0.5

        return Found()


def test_the_evaluator_gives_the_document_s_keys_and_directions() -> None:
    found = BatchEvaluator(Scripted()).compare_methods({"good": GOOD, "poor": POOR}, PROFILES, PROBLEMS)
    assert found.keys() == {"per_method", "comparison"}
    assert {"method", "n_conversations", *AVERAGED} <= found["per_method"]["good"].keys()
    assert [*found["comparison"]] == [*AVERAGED]
    assert found["comparison"].pop("avg_turns")["best"] is None
    for name, entry in found["comparison"].items():
        assert {"values", "best", "best_value"} <= entry.keys()
        assert entry["best"] == "good", name
        assert entry["values"]["good"] == found["per_method"]["good"][name]
    # No preference applies to the second problem: it is in no mean, and no 0.5 as in the document.
    assert found["per_method"]["good"]["avg_compliance_score"] == 1.0
    assert found["per_method"]["poor"]["conflict_resolution_accuracy"] == 0.0


def test_a_conversation_that_could_not_be_judged_is_in_no_average() -> None:
    found = BatchEvaluator(Scripted("five")).evaluate_method("poor", POOR, PROFILES, PROBLEMS)
    assert (found["n_conversations"], found["missing"]) == (2, 1)
    assert found["failures"] == [{"index": 0, "error": "ReplyError", "message": "no verdict"}]
    assert found["task_success_rate"] == 0.0


def test_lists_are_joined_by_id_or_by_an_equal_length_and_else_refused() -> None:
    evaluator = BatchEvaluator(Scripted())
    with pytest.raises(UsageError, match="2 conversations and 1 profiles"):
        evaluator.evaluate_method("good", GOOD, PROFILES[:1], PROBLEMS)
    with pytest.raises(UsageError, match="no conversations"):
        evaluator.evaluate_method("good", [], [], [])
    logs = [{**log, "profile_id": "u", "problem_id": n} for n, log in enumerate(GOOD)]
    problems = [{**problem, "problem_id": n} for n, problem in enumerate(PROBLEMS)]
    found = evaluator.evaluate_method("good", logs, [{**PROFILES[0], "profile_id": "u"}], problems[::-1])
    assert found["task_success_rate"] == 1.0
    with pytest.raises(UsageError, match="no problem is called"):
        evaluator.evaluate_method("good", logs, [{**PROFILES[0], "profile_id": "u"}], problems[:1])
    with pytest.raises(UsageError, match="the problems have ids and no conversation says which is its own"):
        evaluator.evaluate_method("good", GOOD, PROFILES, problems)
    with pytest.raises(UsageError, match="two profiles are called 'u'"):
        evaluator.evaluate_method("good", logs, [{**profile, "profile_id": "u"} for profile in PROFILES], problems)


def test_a_conflict_that_did_not_come_up_weighs_nothing() -> None:
    """One of one right where another lies after the end, none of one right: 1/2, and 2/3 if the late one counted."""
    scenario = {"preferences": PREFERENCES, "expected_idx": 0}
    late = {**GOOD[0], "conflict_scenarios": [{**scenario, "turn_idx": at} for at in (1, 9)]}
    wrong = {**POOR[0], "conflict_scenarios": [{**scenario, "turn_idx": 1}]}

    class Counting(Scripted):
        def evaluate_conversation(self, conversation: Any, *arguments: Any, **named: Any) -> Any:
            found = super().evaluate_conversation(conversation, *arguments, **named)
            found.conflicts = 1
            return found

    found = BatchEvaluator(Counting()).evaluate_method("mixed", [late, wrong], PROFILES, PROBLEMS)
    assert found["conflict_resolution_accuracy"] == 0.5
