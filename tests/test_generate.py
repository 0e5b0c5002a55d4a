"""A single decision: which lines there are, how they are named, and when they are the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from support import ASKS, RIGHT, WRONG, Cli, Server, persona, read_lines, sorted_lines, state, succeeded, write_lines

SYNTHETIC = ("generate", "--mode", "synthetic", "--n-states", 6, "--policy", "calibrated")


def test_every_state_gives_mainline_other_and_variant_of_one_group(cli: Cli) -> None:
    succeeded(cli(*SYNTHETIC))
    lines = read_lines()
    assert len(lines) == 3 * 6
    for index in range(6):
        rows = {row["branch"]: row for row in lines if row["state"]["id"] == f"puzzle-coding-{index}"}
        assert rows.keys() == {"mainline", "other", "variant"}
        main, other, variant = (rows[name] for name in ("mainline", "other", "variant"))
        name = main["persona"]["name"]
        conversation = f"puzzle-coding-{index}/{name}/calibrated/0"
        assert {row["conversation"] for row in rows.values()} == {conversation}
        assert {row["group"] for row in rows.values()} == {f"{conversation}/t0"}
        assert [row["id"] for row in (main, other, variant)] == [
            f"{conversation}/t0/{branch}" for branch in ("mainline", "other", "variant")
        ]
        assert main["action"] == variant["action"] != other["action"]
        assert {row["mainline_action"] for row in rows.values()} == {main["action"]}
        assert [row["is_mainline"] for row in (main, other, variant)] == [True, False, False]
        assert {row["decision_point"] for row in rows.values()} == {0}
        assert main["assistant_msg"] != variant["assistant_msg"]
    assert len({row["action"] for row in lines if row["is_mainline"]}) == 2
    assert len({row["persona"]["name"] for row in lines}) == 6


def test_a_line_holds_its_dialogue_and_where_the_decision_stands_in_it(cli: Cli) -> None:
    succeeded(cli(*SYNTHETIC))
    for row in read_lines():
        assert row["messages"][0] == {"role": "user", "content": row["state"]["query"]}
        assert row["messages"][row["at"]] == {"role": "assistant", "content": row["assistant_msg"]}
        assert row["at"] == row["rollout"][0]["at"] == 1
        assert row["rollout"][0]["meta"] == row["user_reaction"]["meta"]
        assert [step["action"] for step in row["rollout"]] == (
            ["Execute"] if row["action"] == "Execute" else ["Clarify", "Execute"]
        )
        assert row["action_prompt"]
        assert (row["stop"], row["model"], row["user_model"]) in {
            ("completed", "synthetic:", "rule"),
            ("executed", "synthetic:", "rule"),
        }


@pytest.mark.parametrize(("branches", "names"), [(0, ["mainline"]), (1, ["mainline", "other"])])
def test_branches_says_how_many_there_are(cli: Cli, branches: int, names: list[str]) -> None:
    succeeded(cli(*SYNTHETIC, "--branches", branches))
    assert Counter(row["branch"] for row in read_lines()) == dict.fromkeys(names, 6)


@pytest.mark.parametrize("action", ["Clarify", "Execute"])
def test_mainline_action_overrides_the_policy(cli: Cli, action: str) -> None:
    succeeded(cli(*SYNTHETIC, "--mainline-action", action))
    assert {row["action"] for row in read_lines() if row["is_mainline"]} == {action}
    assert {row["p_clarify"] for row in read_lines()} == {None}


def test_without_a_rollout_a_question_is_no_answer(cli: Cli) -> None:
    succeeded(cli(*SYNTHETIC, "--no-rollout"))
    lines = read_lines()
    assert {len(row["rollout"]) for row in lines} == {1}
    assert {row["stop"] for row in lines if row["action"] == "Clarify"} == {"no_rollout"}
    succeeded(cli("reward"))
    asked = {row["id"] for row in lines if row["action"] == "Clarify"}
    scores = {(row["task_score"], row["status"]) for row in read_lines("data/logs/rewards.jsonl") if row["id"] in asked}
    assert scores == {(0.0, "no_answer")}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(fresh_cli: Cli) -> None:
    for name, seed, lanes in (("a", 0, 1), ("b", 0, 16), ("c", 1, 16)):
        command = (*SYNTHETIC, "--seed", seed, "--concurrency", lanes, "--out", f"{name}.jsonl")
        succeeded(fresh_cli(*command, PROACT_CACHE_DIR=name))
    assert sorted_lines("a.jsonl") == sorted_lines("b.jsonl")
    first, other = ({row["group"]: row["assistant_msg"] for row in read_lines(f"{name}.jsonl")} for name in "ac")
    assert set(first.values()) != set(other.values())


def test_a_second_branch_later_only_adds_work(cli: Cli) -> None:
    succeeded(cli(*SYNTHETIC, "--branches", 1))
    before = Path("data/logs/trajectories.jsonl").read_bytes()
    succeeded(cli(*SYNTHETIC, "--branches", 2))
    after = Path("data/logs/trajectories.jsonl").read_bytes()
    assert after.startswith(before)
    assert Counter(row["branch"] for row in read_lines()) == {"mainline": 6, "other": 6, "variant": 6}


def test_a_second_policy_pays_only_for_what_it_does_differently(cli: Cli, server: Server) -> None:
    write_lines("states.jsonl", [state(f"s{index}", query=f"Double the number {index}.") for index in range(3)])
    write_lines("pat.jsonl", [persona(patience="low")])
    server.answer = lambda body: ASKS if "question" in body["messages"][-1]["content"] else WRONG
    command = ("generate", "--dataset", "states.jsonl", "--personas", "pat.jsonl", "--model", "any", "--base-url")
    succeeded(cli(*command, server.url, "--policy", "documented"))
    paid = len(server.bodies)
    assert paid >= 9
    succeeded(cli(*command, server.url, "--policy", "always-execute"))
    assert len(server.bodies) == paid
    assert len(read_lines()) == 18


def test_other_settings_stop_the_run_and_show_the_difference(cli: Cli) -> None:
    succeeded(cli(*SYNTHETIC))
    before = Path("data/logs/trajectories.jsonl").read_bytes()
    ran = cli(*SYNTHETIC, "--temperature", 1)
    assert ran.code == 2
    assert "temperature: 0.3 -> 1.0" in ran.err
    assert Path("data/logs/trajectories.jsonl").read_bytes() == before
    succeeded(cli(*SYNTHETIC, "--temperature", 1, "--overwrite"))
    assert len(read_lines()) == 18
    assert len({row["spec"] for row in read_lines()}) == 1


def test_a_clarify_is_played_on_to_an_answer_that_uses_the_reply(cli: Cli, server: Server) -> None:
    def answer(body: dict[str, object]) -> str:
        text = str(body["messages"])
        return RIGHT if "called twice" in text else ASKS if "question" in text else "```python\nx = 1\n```"

    server.answer = answer
    write_lines("states.jsonl", [state()])
    write_lines("pat.jsonl", [persona(patience="high", expertise="high")])
    command = ("generate", "--dataset", "states.jsonl", "--personas", "pat.jsonl", "--model", "any", "--seed", 2)
    succeeded(cli(*command, "--base-url", server.url, "--mainline-action", "Clarify", "--branches", 1))
    asked, executed = sorted(read_lines(), key=lambda row: str(row["action"]))
    assert asked["user_reaction"]["user_reply"] == "The function is called twice."
    assert asked["user_reaction"]["meta"]["revealed"] == ["name"]
    assert (asked["task_completed"], asked["stop"]) == (True, "completed")
    assert (executed["task_completed"], executed["stop"]) == (False, "executed")
    assert [message["role"] for message in asked["messages"]] == ["user", "assistant", "user", "assistant", "user"]
