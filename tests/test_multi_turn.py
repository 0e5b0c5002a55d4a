"""Whole conversations: how they go on, when they end, and which branches leave them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import pytest
from support import ASKS, RIGHT, WRONG, Cli, Row, Server, persona, read_lines, state, succeeded, write_lines

PLAN = "1. Book a room for 12 people.\n2. Stay under the budget of 300 euros."


class Play(Protocol):
    """Runs conversations of one persona with a scripted assistant, and returns the lines."""

    def __call__(
        self, *arguments: object, answer: Callable[[Row], str], states: list[Row] | None = None, **traits: str
    ) -> list[Row]: ...


@pytest.fixture
def play(cli: Cli, server: Server) -> Play:
    def played(
        *arguments: object, answer: Callable[[Row], str], states: list[Row] | None = None, **traits: str
    ) -> list[Row]:
        server.answer = answer
        write_lines("states.jsonl", states or [state()])
        write_lines("pat.jsonl", [persona(**traits)])
        base = ("generate", "--dataset", "states.jsonl", "--personas", "pat.jsonl", "--model", "any", "--multi-turn")
        succeeded(cli(*base, "--base-url", server.url, *arguments))
        return read_lines()

    return played


def asks(body: Row) -> bool:
    return "question" in body["messages"][-1]["content"].rpartition("\n\n")[2]


def wrong(body: Row) -> str:
    return ASKS if asks(body) else WRONG


def right_when_told(body: Row) -> str:
    return ASKS if asks(body) else RIGHT if "called twice" in str(body["messages"]) else WRONG


def test_each_turn_is_a_line_of_one_job_and_only_the_last_is_terminal(play: Play) -> None:
    lines = play("--max-turns", 3, "--policy", "always-execute", answer=wrong, states=[state("a"), state("b")])
    assert len(lines) == 6
    for name in "ab":
        rows = [row for row in lines if row["state"]["id"] == name]
        assert [row["turn"] for row in rows] == [row["decision_point"] for row in rows] == [0, 1, 2]
        assert [row["terminal"] for row in rows] == [False, False, True]
        conversation = f"{name}/pat/always-execute/0"
        assert {row["job"] for row in rows} == {f"{conversation}/mainline"}
        assert [row["id"] for row in rows] == [f"{conversation}/t{turn}/mainline" for turn in range(3)]
        assert len({str(row["messages"]) for row in rows}) == 1
        assert [row["messages"][row["at"]]["content"] for row in rows] == [WRONG] * 3
        assert [len(row["rollout"]) for row in rows] == [3, 2, 1]
        assert {(row["stop"], row["task_completed"]) for row in rows} == {("max_turns", False)}


def test_the_policy_decides_at_each_turn_on_the_state_of_that_turn(play: Play) -> None:
    lines = play("--policy", "calibrated", "--seed", 2, answer=right_when_told, patience="high", expertise="high")
    assert [(row["action"], row["forced"], row["p_clarify"]) for row in lines] == [
        ("Clarify", False, 1.0),
        ("Execute", False, 0.0),
    ]
    first, second = (row["state"] for row in lines)
    assert (first["dialogue_turn"], first["prev_reject"], first["task_uncertainty"]) == (0, 0, 0.8)
    # U * (1 - 0.5 * clarity) with the one addressed fact stated: 0.8 * 0.5.
    assert (second["dialogue_turn"], second["prev_reject"], second["task_uncertainty"]) == (1, 0, 0.4)
    assert {(row["stop"], row["task_completed"]) for row in lines} == {("completed", True)}


def test_a_vague_answer_leaves_the_uncertainty(play: Play) -> None:
    lines = play("--policy", "always-clarify", "--seed", 2, answer=wrong, patience="high", expertise="low")
    metas = [row["user_reaction"]["meta"] for row in lines if row["action"] == "Clarify"]
    assert (1, 0.0) in {(meta["answered_clarification"], meta["answer_clarity"]) for meta in metas}
    for row, after in pairwise(lines):
        clarity = row["user_reaction"]["meta"]["answer_clarity"]
        factor = 1 - 0.5 * clarity
        assert after["state"]["task_uncertainty"] == round(row["state"]["task_uncertainty"] * factor, 6)


def test_a_refusal_is_kept_and_leads_to_a_forced_answer(play: Play) -> None:
    lines = play("--policy", "always-clarify", answer=wrong, patience="low")
    refused = [index for index, row in enumerate(lines) if row["user_reaction"]["meta"]["reject_signal"]]
    assert refused
    for index in refused:
        after = lines[index + 1]
        assert (after["action"], after["forced"], after["state"]["prev_reject"]) == ("Execute", True, 1)
        reply = lines[index]["user_reaction"]["user_reply"]
        assert {"role": "user", "content": reply} in after["messages"][: after["at"]]
        if index + 2 < len(lines):
            assert lines[index + 2]["state"]["prev_reject"] == 0


def test_the_last_turn_is_always_an_answer(play: Play) -> None:
    lines = play("--policy", "always-clarify", "--max-turns", 3, answer=wrong, patience="high")
    assert [(row["action"], row["forced"]) for row in lines][-1] == ("Execute", True)
    assert [row["forced"] for row in lines if row["action"] == "Clarify"].count(True) == 0
    assert lines[-1]["stop"] == "max_turns"


def test_one_turn_is_one_forced_answer(play: Play) -> None:
    (line,) = play("--policy", "always-clarify", "--max-turns", 1, "--branch-turns", answer=wrong)
    assert (line["action"], line["forced"], line["branch"]) == ("Execute", True, "mainline")


def test_a_mainline_action_is_the_first_one_only(play: Play) -> None:
    lines = play(
        "--policy", "always-execute", "--mainline-action", "Clarify", "--max-turns", 4, answer=wrong, patience="high"
    )
    assert [row["action"] for row in lines] == ["Clarify", "Execute", "Execute", "Execute"]
    assert [row["policy"] for row in lines] == ["given", *["always-execute"] * 3]


def test_turns_without_branches_are_the_mainline_alone(play: Play) -> None:
    lines = play("--policy", "always-clarify", "--branch-turns", "--branches", 0, answer=wrong)
    assert {row["branch"] for row in lines} == {"mainline"}


def test_a_decision_and_a_conversation_of_one_name_are_not_written_beside_each_other(cli: Cli) -> None:
    """Their lines would have the same ids, which no later stage could tell apart."""
    once = ("generate", "--mode", "synthetic", "--n-states", 2)
    succeeded(cli(*once))
    ran = cli(*once, "--multi-turn")
    assert (ran.code, "already holds" in ran.err, "mode: 'single decision' -> 'multi-turn'" in ran.err) == (
        2,
        True,
        True,
    )
    succeeded(cli(*once, "--multi-turn", "--branch-turns", "--overwrite"))
    assert len({row["id"] for row in read_lines()}) == len(read_lines())
    succeeded(cli("reward"))
    assert cli(*once).code == 2


def test_a_plan_is_complete_when_it_covers_its_checklist(play: Play) -> None:
    task = state(
        domain="planning",
        query="Plan a lunch.",
        tests=None,
        checklist=[
            {"id": "room", "text": "Book a room for 12 people.", "concepts": [["room"], ["12"]]},
            {"id": "money", "text": "Stay under 300 euros.", "concepts": [["budget"], ["300"]]},
        ],
    )

    def answer(body: Row) -> str:
        # Long prose must not count as a complete plan.
        return PLAN if len(body["messages"]) > 3 else "We will have a lovely time together. " * 30

    lines = play("--policy", "always-execute", answer=answer, states=[task])
    assert [row["action"] for row in lines] == ["Execute", "Execute"]
    assert {(row["stop"], row["task_completed"]) for row in lines} == {("completed", True)}


def test_without_tests_nothing_is_complete(play: Play) -> None:
    lines = play("--policy", "always-execute", "--max-turns", 2, answer=wrong, states=[state(tests=None)])
    assert {(row["stop"], row["task_completed"]) for row in lines} == {("max_turns", None)}


def test_branches_leave_the_mainline_at_each_decision_that_was_free(play: Play) -> None:
    flags = ("--policy", "calibrated", "--branch-turns", "--max-turns", 3)
    lines = play(*flags, answer=wrong, patience="high", expertise="high")
    mainline = {row["turn"]: row for row in lines if row["branch"] == "mainline"}
    free = {turn for turn, row in mainline.items() if not row["forced"]}
    assert len(free) < len(mainline) == 3
    for branch in ("other", "variant"):
        rows = {row["turn"]: row for row in lines if row["branch"] == branch}
        assert rows.keys() == free
        assert {row["job"] for row in rows.values()} == {f"double/pat/calibrated/0/{branch}"}
        for turn, row in rows.items():
            assert row["group"] == mainline[turn]["group"]
            assert row["state"] == mainline[turn]["state"]
            assert row["decision_point"] == mainline[turn]["decision_point"] == turn
            assert row["messages"][: row["at"]] == mainline[turn]["messages"][: row["at"]]
            assert (row["action"] == mainline[turn]["action"]) == (branch == "variant")
            assert not row["is_mainline"]


def test_every_branch_and_policy_meets_the_same_user(play: Play) -> None:
    reactions: dict[tuple[int, int], set[str]] = {}
    for policy in ("always-clarify", "calibrated"):
        flags = ("--policy", policy, "--branch-turns", "--max-turns", 4)
        lines = play(*flags, answer=wrong, patience="mid", expertise="low")
        asking = [row for row in lines if row["action"] == "Clarify" and row["policy"] == policy]
        for row in asking:
            before = sum(message["content"] == ASKS for message in row["messages"][: row["at"]])
            reactions.setdefault((row["turn"], before), set()).add(str(row["user_reaction"]))
    assert sum(len(found) for found in reactions.values()) == len(reactions) > 1


def test_a_branch_can_go_on_by_the_policy(play: Play) -> None:
    flags = ("--policy", "always-clarify", "--branch-turns", "--max-turns", 4, "--seed", 2)
    lines = play(*flags, answer=wrong, patience="high", expertise="low")
    other = next(row for row in lines if row["branch"] == "other" and row["turn"] == 0)
    assert [step["action"] for step in other["rollout"]] == ["Execute"] * 4
    lines = play(*flags, "--continuation", "policy", "--overwrite", answer=wrong, patience="high", expertise="low")
    other = next(row for row in lines if row["branch"] == "other" and row["turn"] == 0)
    assert [step["action"] for step in other["rollout"]][:2] == ["Execute", "Clarify"]
    assert [step["action"] for step in other["rollout"]][-1] == "Execute"


def test_a_single_decision_can_go_on_by_the_policy(cli: Cli) -> None:
    command = ("generate", "--mode", "synthetic", "--n-states", 6, "--policy", "always-clarify", "--branches", 0)
    succeeded(cli(*command, "--continuation", "policy", "--max-turns", 4, "--persona", "chatty-retiree"))
    lines = read_lines()
    assert max(len(row["rollout"]) for row in lines) > 2
    assert {row["rollout"][-1]["action"] for row in lines} == {"Execute"}
    succeeded(cli(*command, "--continuation", "policy", "--max-turns", 1, "--overwrite"))
    assert {row["rollout"][-1]["action"] for row in read_lines()} == {"Execute"}
