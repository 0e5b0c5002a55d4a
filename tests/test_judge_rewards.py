"""Verdicts in a reward: gated when they are read, absent when one is missing, comparable where they say so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from judge_server import Answer, Body, JudgeServer, Shell, asked

STATES = 6
REWARD = ("--trajectories", "t.jsonl", "--rewards", "r.jsonl", "--out", "p.jsonl", "--verdicts", "v.jsonl")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.run("generate", "--mode", "synthetic", "--n-states", STATES, "--out", "t.jsonl")
    return shell


def judge(shell: Shell, name: str, answer: Any, *more: object, code: int = 0) -> dict[str, Any]:
    with JudgeServer(answer) as server:
        fixed = ("--in", "t.jsonl", "--out", "v.jsonl", "--model", "m", "--base-url", server.url, "--lines", "all")
        return shell.run("judge", name, *fixed, *more, code=code)


def rewards(shell: Shell, *more: object, code: int = 0) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    report = shell.run("reward", *REWARD, *more, code=code)
    return report, {row["id"]: row for row in shell.rows("r.jsonl")}


def uncertain(body: Body, attempt: int) -> str:
    """Praise of everything, with a confidence that depends on the turn."""
    confidence = (len(asked(body)) % 10) / 10
    return json.dumps({"label": "pos_praise", "confidence": confidence, "rationale": ""})


def test_feedback_is_gated_when_it_is_read(shell: Shell) -> None:
    judge(shell, "feedback", uncertain)
    by_line: dict[str, list[float]] = {}
    for verdict in shell.rows("v.jsonl"):
        by_line.setdefault(verdict["trajectory"], []).append(verdict["confidence"])
    for tau in (0.0, 0.6, 0.95):
        _, found = rewards(shell, "--component", "feedback=1", "--tau", tau)
        assert len(found) == 3 * STATES
        for name, confidences in by_line.items():
            kept = [one for one in confidences if one >= tau]
            components = found[name]["components"]
            assert components["feedback_n"] == len(kept)
            assert components["feedback"] == pytest.approx(0.8 if kept else 0.0)
            assert found[name]["total"] == pytest.approx(found[name]["independent"] + components["feedback"])


def test_one_missing_verdict_makes_the_component_missing(shell: Shell) -> None:
    def answer(body: Body, attempt: int) -> Answer | str:
        return "no idea" if "Please try again" in asked(body) else uncertain(body, attempt)

    missing = judge(shell, "feedback", answer, code=3)["missing"]
    lost = {failure["ids"][0].rpartition("/m")[0] for failure in shell.rows("v.failures.jsonl")}
    report, found = rewards(shell, "--component", "feedback=1", code=3)
    assert missing >= len(lost) > 0
    assert set(found) == {row["id"] for row in shell.rows("t.jsonl")} - lost
    failures = shell.rows("r.failures.jsonl")
    assert {failure["ids"][0] for failure in failures} == lost
    assert {failure["error"] for failure in failures} == {"MissingVerdict"}
    assert report["missing"] == len(lost)


def test_correctness_replaces_the_task_score_and_the_independent_reward_stays(shell: Shell) -> None:
    wrong = json.dumps({"is_correct": False, "confidence": 1, "reasoning": "no"})
    judge(shell, "correctness", lambda body, attempt: wrong, "--no-sandbox")
    _, measured = rewards(shell)
    report, found = rewards(shell, "--task-score", "correctness")
    assert {row["task_score"] for row in found.values()} == {0.0}
    assert any(row["independent"] != row["total"] for row in found.values())
    for name, row in found.items():
        assert row["independent"] == measured[name]["independent"]
        assert row["status"] == "judged"


def test_verdicts_of_the_mainline_alone_leave_the_branches_missing(shell: Shell) -> None:
    judge(shell, "correctness", uncertain, "--lines", "mainline")
    _, found = rewards(shell, "--task-score", "correctness", code=3)
    assert len(found) == STATES
    assert "--lines all" in shell.rows("r.failures.jsonl")[0]["message"]


def test_ruler_counts_within_a_group_and_says_so(shell: Shell) -> None:
    def answer(body: Body, attempt: int) -> str:
        ids = re.findall(r'<trajectory id="(\d+)">', asked(body))
        scores = [{"trajectory_id": name, "explanation": "", "score": int(name) / 10} for name in ids]
        return json.dumps({"scores": scores})

    judge(shell, "ruler", answer)
    assert len(shell.rows("v.jsonl")) == 3 * STATES
    report, found = rewards(shell, "--component", "ruler=1", "--w-task", 0)
    for row in found.values():
        assert row["total"] == pytest.approx(row["components"]["ruler"] - row["interrupt_cost"])
        assert row["independent"] == pytest.approx(row["task_score"] - row["interrupt_cost"])
    assert any("compares only within a group" in note for note in report["notes"])
    # A mean over groups, which eval takes, would compare what does not.
    for more, field in (
        (("--component", "ruler=1", "--w-task", 0), "reward"),
        (("--task-score", "ruler"), "task_score"),
    ):
        rewards(shell, *more)
        measured = shell.run("eval", "t.jsonl", "--rewards", "r.jsonl", "--no-plot")
        assert any("ruler compares only within a group" in warning for warning in measured["warnings"])
        for row in shell.rows("data/eval/conversations.jsonl"):
            assert (row["metrics"][field], field in row["not_applicable"]) == (None, True)
            assert row["success_source"] in ("reward", "completed")


@pytest.mark.parametrize("name", ["feedback", "effort"])
def test_a_judge_of_something_else_is_no_task_score(shell: Shell, name: str) -> None:
    judge(shell, name, uncertain)
    code, complaint = shell.complaint("reward", *REWARD, "--task-score", name)
    assert (code, f"--task-score {name}: gave " in complaint) == (2, True), complaint
    assert f"a task score is from 0 to 1; weigh it with --component {name}=WEIGHT" in complaint
    assert not (shell.folder / "r.jsonl").exists()


def test_two_specs_of_a_judge_need_a_choice(shell: Shell) -> None:
    specs = [judge(shell, "feedback", uncertain, "--seed", seed)["specs"]["feedback"] for seed in (0, 1)]
    code, complaint = shell.complaint("reward", *REWARD, "--component", "feedback=1")
    assert code == 2
    assert all(spec in complaint for spec in specs)
    _, found = rewards(shell, "--component", "feedback=1", "--verdict-spec", f"feedback={specs[1]}")
    assert len(found) == 3 * STATES
    code, complaint = shell.complaint("reward", *REWARD, "--component", "grace=1")
    assert "no component or judge called 'grace'; there is: feedback" in complaint


def test_repeats_count_as_their_mean_and_show_their_spread(shell: Shell) -> None:
    def answer(body: Body, attempt: int) -> str:
        return json.dumps({"is_correct": attempt % 2 == 0, "confidence": 1, "reasoning": ""})

    judge(shell, "correctness", answer, "--no-sandbox", "--repeats", 2, "--concurrency", 1)
    _, found = rewards(shell, "--component", "correctness=1")
    values = [row["components"]["correctness"] for row in found.values()]
    assert fmean(values) == pytest.approx(0.5)
    assert {row["components"]["correctness_spread"] for row in found.values()} == {0.5}


def test_a_table_that_rests_on_a_stand_in_says_so(shell: Shell) -> None:
    fixed = ("--in", "t.jsonl", "--out", "v.jsonl", "--model", "synthetic:", "--lines", "all")
    assert "near chance" in shell.run("judge", "feedback", *fixed)["caveat"]
    report, _ = rewards(shell, "--component", "feedback=1")
    assert any("near chance" in note for note in report["notes"])
    _, out, _ = shell.call("judge", "feedback", *fixed)
    assert "synthetic: near chance" in " ".join(out.split())


def test_lines_that_hold_only_the_documents_fields_are_judged(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    state = {"query": "Sort it.", "dialogue_turn": 0, "prev_reject": 0, "task_uncertainty": 0.5, "domain": "poetry"}
    meta = {"answered_clarification": 0, "reject_signal": 0, "silence": 0, "off_topic_flag": 0, "satisfaction": 0.5}
    reaction = {"user_reply": "That's wrong.", "meta": meta}
    line = {"state": state, "action": "Execute", "assistant_msg": "Sorted.", "persona": "p", "user_reaction": reaction}
    shell.write("t.jsonl", [line])
    report = shell.run("judge", "effort", "feedback", "--in", "t.jsonl", "--out", "v.jsonl", "--model", "synthetic:")
    assert [row["judged"] for row in report["judges"]] == [1, 1]
    by_judge = {verdict["judge"]: verdict for verdict in shell.rows("v.jsonl")}
    assert by_judge["effort"]["score"] == 3.0
    assert by_judge["feedback"]["at"] == 2


def test_a_line_is_judged_from_its_decision_on(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.run("generate", "--mode", "synthetic", "--n-states", 4, "--multi-turn", "--max-turns", 4, "--out", "t.jsonl")
    lines = {row["id"]: row for row in shell.rows("t.jsonl")}
    shell.run("judge", "feedback", "--in", "t.jsonl", "--out", "v.jsonl", "--model", "synthetic:", "--lines", "all")
    later = 0
    for verdict in shell.rows("v.jsonl"):
        line = lines[verdict["trajectory"]]
        assert verdict["detail"].get("answer_at", line["at"]) >= line["at"]
        later += line["decision_point"] > 0
    assert later
    shell.run("judge", "feedback", "--in", "t.jsonl", "--out", "m.jsonl", "--model", "synthetic:")
    assert {lines[verdict["trajectory"]]["decision_point"] for verdict in shell.rows("m.jsonl")} == {0}
