"""The arms beside the documented ones: what a question that asks nothing is worth, and what knowing everything is."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest
from support import Cli, Row, read_lines, sorted_lines, succeeded

from proact.arms import GENERIC
from proact.text import content_words, questions

SYNTHETIC = ("generate", "--mode", "synthetic", "--n-states", 4, "--persona", "steady-engineer")
KEYRING = ("generate", "--mode", "synthetic", "--world", "keyring", "--n-states", 30)


def arms(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["branch"]].append(row)
    return found


def test_all_arms_and_replicates_of_a_decision(cli: Cli) -> None:
    succeeded(cli(*SYNTHETIC, "--arms", "all", "--replicates", 2))
    rows = read_lines()
    names = ("mainline", "other", "variant", "placebo", "oracle")
    assert Counter(row["branch"] for row in rows) == dict.fromkeys(names, 8)
    assert Counter(row["replicate"] for row in rows) == {0: 20, 1: 20}
    assert len({row["id"] for row in rows}) == 40
    assert len({row["group"] for row in rows}) == 4


def test_a_placebo_asks_nothing_costs_a_question_and_learns_nothing(cli: Cli) -> None:
    succeeded(cli(*SYNTHETIC, "--arms", "all"))
    succeeded(cli("reward"))
    assert len(questions(GENERIC)) == 1
    assert not content_words(GENERIC)
    rewards = {row["id"]: row for row in read_lines("data/logs/rewards.jsonl")}
    for row in arms(read_lines())["placebo"]:
        assert (row["action"], row["assistant_msg"]) == ("Clarify", GENERIC)
        assert row["usage"]["calls"] == 1
        assert row["rollout"][-1]["action"] == "Execute"
        assert row["user_reaction"]["meta"]["revealed"] == []
        assert not any(fact["text"] in row["user_reaction"]["user_reply"] for fact in row["state"]["facts"])
        assert rewards[row["id"]]["components"]["n_questions"] == 1
        assert rewards[row["id"]]["interrupt_cost"] > 0


def test_an_oracle_is_told_everything_before_it_answers_and_pays_nothing(cli: Cli) -> None:
    succeeded(cli(*SYNTHETIC, "--arms", "all"))
    succeeded(cli("reward"))
    rewards = {row["id"]: row for row in read_lines("data/logs/rewards.jsonl")}
    for row in arms(read_lines())["oracle"]:
        assert [step["action"] for step in row["rollout"]] == ["Execute"]
        before = row["messages"][: row["at"]]
        assert [message["role"] for message in before] == ["user"]
        assert before[0]["content"].startswith(row["state"]["query"])
        assert all(fact["text"] in before[0]["content"] for fact in row["state"]["facts"])
        assert rewards[row["id"]]["interrupt_cost"] == 0


def test_a_state_about_which_nothing_is_known_has_no_oracle(cli: Cli) -> None:
    with open("states.jsonl", "w", encoding="utf-8") as file:
        file.write('{"id": "bare", "domain": "coding", "query": "Write it."}\n')
    flags = ("--dataset", "states.jsonl", "--model", "synthetic:", "--arms", "all")
    succeeded(cli("generate", *flags))
    assert "oracle" not in arms(read_lines())


def test_arms_and_replicates_are_added_to_a_file_without_doing_the_rest_again(cli: Cli) -> None:
    succeeded(cli(*SYNTHETIC))
    before = sorted_lines()
    succeeded(cli(*SYNTHETIC, "--arms", "all", "--replicates", 2))
    assert set(before) < set(sorted_lines())
    assert len(sorted_lines()) == 40


def test_placebo_and_oracle_take_no_part_in_pairs(cli: Cli) -> None:
    succeeded(cli(*KEYRING))
    succeeded(cli("reward", "--no-thin"))
    before = sorted_lines("data/dpo/pairs.jsonl")
    succeeded(cli(*KEYRING, "--arms", "all"))
    succeeded(cli("reward", "--no-thin"))
    assert sorted_lines("data/dpo/pairs.jsonl") == before


BRANCHING = (*KEYRING, "--multi-turn", "--branch-turns", "--branches", 1, "--policy", "always-clarify", "--seed", 1)


def by_decision(rows: list[Row]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in rows:
        found[row["group"]][row["branch"]] = row
    return found


def test_every_free_decision_of_a_conversation_has_all_arms(cli: Cli) -> None:
    succeeded(cli(*BRANCHING, "--arms", "all"))
    decisions = by_decision(read_lines())
    assert max(row["turn"] for row in read_lines()) >= 2
    for rows in decisions.values():
        if rows["mainline"]["forced"]:
            assert rows.keys() == {"mainline"}
        else:
            assert rows.keys() == {"mainline", "again", "other", "placebo", "oracle"}
            at = rows["mainline"]["at"]
            prefixes = [rows[name]["messages"][:at] for name in ("again", "other", "placebo")]
            assert prefixes == [rows["mainline"]["messages"][:at]] * 3


def test_the_mainlines_question_is_also_followed_as_the_other_branches_are(cli: Cli) -> None:
    succeeded(cli(*BRANCHING))
    for rows in by_decision(read_lines()).values():
        if not rows["mainline"]["forced"]:
            assert rows["again"]["assistant_msg"] == rows["mainline"]["assistant_msg"]
            assert [step["action"] for step in rows["again"]["rollout"]] == ["Clarify", "Execute"]
            assert rows["mainline"]["continuation"] == "policy"
            assert rows["again"]["continuation"] == "execute"


def test_pairs_take_the_line_that_goes_on_as_the_others_do(cli: Cli) -> None:
    succeeded(cli(*BRANCHING))
    succeeded(cli("reward", "--no-thin"))
    branches = {row["id"]: row["branch"] for row in read_lines()}
    pairs = read_lines("data/dpo/pairs.jsonl")
    assert pairs
    assert {branches[pair[side]] for pair in pairs for side in ("chosen_id", "rejected_id")} == {"again", "other"}


def test_another_policy_can_go_on_after_the_branches(cli: Cli) -> None:
    flags = ("--continuation", "policy", "--continue-by", "always-execute")
    succeeded(cli(*BRANCHING, *flags))
    again = arms(read_lines())["again"]
    assert {row["continuation"] for row in again} == {"always-execute"}
    assert {row["policy"] for row in again} == {"always-clarify"}
    assert all([step["action"] for step in row["rollout"]] == ["Clarify", "Execute"] for row in again)


def test_a_world_ends_with_an_answer_and_answers_when_nothing_is_open(cli: Cli) -> None:
    flags = (*KEYRING, "--multi-turn", "--policy", "always-clarify", "--seed", 1)
    succeeded(cli(*flags))
    for rows in by_decision(read_lines()).values():
        line = rows["mainline"]
        actions = [step["action"] for step in line["rollout"]]
        assert actions.count("Execute") == 1
        assert actions[-1] == "Execute"
        asked = sum(step["meta"]["answered_clarification"] for step in line["rollout"])
        assert asked <= len(line["state"]["facts"])
    assert {row["user_model"] for row in read_lines()} == {"keyring"}
    assert {row["persona"]["name"] for row in read_lines()} == {"neutral"}


def test_the_splits_of_a_world(cli: Cli) -> None:
    succeeded(cli("generate", "--mode", "synthetic", "--world", "keyring", "--split", "test", "--branches", 0))
    assert {row["state"]["split"] for row in read_lines()} == {"test"}
    assert len(read_lines()) == 36


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "dataset", "--model", "x", "--repeat", "--replicates", 2], "use it or --replicates, not both"),
        (["--mode", "dataset", "--model", "x", "--world", "keyring"], "--world does not go with --mode dataset"),
        (["--world", "nowhere"], "unknown world 'nowhere'; there is: keyring"),
        (["--world", "keyring", "--max-turns", 4], "--world keyring needs --max-turns 5 or more"),
        (["--continue-by", "calibrated"], "--continue-by names the policy of --continuation policy"),
    ],
)
def test_what_cannot_be_done_is_said(cli: Cli, arguments: list[object], message: str) -> None:
    ran = cli("generate", "--mode", "synthetic", *arguments)
    assert ran.code == 2
    assert message in ran.err
