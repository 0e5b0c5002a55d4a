"""What a trajectory earns: formulas worked by hand, and what has no score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rows import META, line, reward_rows
from support import ASKS, RIGHT, WRONG, Cli, Row, read_lines, state, write_lines

from proact.parsing import parse
from proact.records import Trajectory
from proact.rewards.specs import interrupt_cost, raw_counts, spec_named, total

ASKED_TWICE = "Is it called twice? And what about zero?"
ROLLOUT = line(
    "other",
    [("Clarify", ASKED_TWICE, {"reject_signal": 1}), ("Execute", "word " * 201, {}), ("Execute", RIGHT, {})],
)


def cost(row: Row, spec: str = "default", overrides: dict[str, float] | None = None) -> float:
    chosen = spec_named(spec, overrides or {})
    return interrupt_cost(raw_counts(parse(row, Trajectory), chosen.long_words), chosen)


def test_the_cost_is_this_formula_over_the_whole_rollout() -> None:
    # Two questions, one refusal, one turn of more than 200 words: 0.2 * (0.4 * 2 + 1.0 * 1 + 0.3 * 1 + 0.7 * 0).
    assert cost(ROLLOUT) == pytest.approx(0.2 * 2.1)
    assert cost(ROLLOUT, "strict") == pytest.approx(0.6 * 2.1)
    # 0.7 for the refusal and 0.05 for the turn that asked.
    assert cost(ROLLOUT, "per-turn") == pytest.approx(0.75)


def test_an_answered_question_is_free_per_turn_and_off_topic_costs_by_default() -> None:
    row = line("other", [("Clarify", ASKS, {"answered_clarification": 1, "off_topic_flag": 1}), ("Execute", RIGHT, {})])
    assert cost(row, "per-turn") == pytest.approx(0.0)
    assert cost(row) == pytest.approx(0.2 * (0.4 + 0.7))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"alpha": 1.0}, 2.1),
        ({"w_questions": 1.0}, 0.2 * 3.3),
        ({"w_reject": 0.0}, 0.2 * 1.1),
        ({"w_long": 1.0}, 0.2 * 2.8),
        ({"long_words": 201}, 0.2 * 1.8),
        ({"alpha": 0.0}, 0.0),
    ],
)
def test_each_weight_can_be_overridden(overrides: dict[str, float], expected: float) -> None:
    assert cost(ROLLOUT, overrides=overrides) == pytest.approx(expected)


def test_questions_of_an_answer_cost_nothing() -> None:
    assert cost(line("mainline", [("Execute", "Does this help? Or this?\n" + RIGHT, {})])) == 0.0


@pytest.mark.parametrize(
    ("message", "count"),
    [
        ("Is it one? Or two?", 2),
        ("Really??", 1),
        ("```python\nx = 'a?b?'\n```\nIs it one?", 1),
        ("~~~\nwhat?\n~~~", 0),
        ("```\nnever closed?", 0),
        ("Is `a?` it?", 1),
        ("See https://example.org/?q=1&r=2? for more.", 0),
        ("名前は何ですか？空ですか？", 2),
        ("? ?!", 0),
        ("Tell me.", 0),
    ],
)
def test_questions_are_counted_in_prose(message: str, count: int) -> None:
    row = line("other", [("Clarify", message, {})])
    assert raw_counts(parse(row, Trajectory), 200)["n_questions"] == count


def test_words_of_code_do_not_make_a_turn_long() -> None:
    code = "```python\n" + "x = 1\n" * 300 + "```\n"
    assert cost(line("mainline", [("Execute", code + "word " * 200, {})])) == 0.0
    assert cost(line("mainline", [("Execute", code + "word " * 201, {})])) == pytest.approx(0.06)


def test_the_total_weighs_the_task_and_every_component() -> None:
    spec = spec_named("default", {"w_task": 2.0, "components": {"ruler": 0.5, "tone": -1.0}})
    assert total(0.5, 0.25, {"ruler": 0.8, "tone": 0.1}, spec) == pytest.approx(2 * 0.5 - 0.25 + 0.5 * 0.8 - 0.1)
    assert total(0.5, 0.25, {"ruler": None, "tone": 0.1}, spec) is None
    assert total(None, 0.25, {"ruler": 0.8, "tone": 0.1}, spec) is None
    without = spec_named("default", {"w_task": 0.0, "components": {"ruler": 1.0}})
    assert total(None, 0.25, {"ruler": 0.8}, without) == pytest.approx(0.55)


def test_scores_and_totals_of_a_file(cli: Cli) -> None:
    write_lines("t.jsonl", [ROLLOUT, line("mainline", [("Execute", WRONG, {})])])
    rewards = reward_rows(cli, "--no-thin")
    asked, executed = rewards["g/other"], rewards["g/mainline"]
    assert (asked["task_score"], asked["status"], asked["tests"]) == (1.0, "pass", [True, True])
    assert asked["interrupt_cost"] == pytest.approx(0.42)
    assert asked["total"] == pytest.approx(0.58)
    assert asked["spec"] == "default@1"
    assert asked["components"] == {
        "n_turns": 3.0, "n_clarify": 1.0, "n_questions": 2.0, "rejects": 1.0, "answered": 0.0, "off_topic": 0.0,
        "long_turns": 1.0, "satisfaction": 0.5,
    }  # fmt: skip
    assert (executed["task_score"], executed["status"], executed["total"]) == (0.0, "fail", 0.0)
    rewards = reward_rows(cli, "--task-score", "all", "--spec", "strict", "--w-task", 3)
    assert rewards["g/other"]["total"] == pytest.approx(3 - 1.26)
    assert rewards["g/other"]["spec"].startswith("strict@1+")


def test_a_share_of_the_tests_is_a_share_of_the_score(cli: Cli) -> None:
    half = "```python\ndef twice(n):\n    return abs(2 * n)\n```"
    write_lines("t.jsonl", [line("mainline", [("Execute", half, {})])])
    (row,) = reward_rows(cli).values()
    assert (row["task_score"], row["tests"], row["total"]) == (0.5, [True, False], 0.5)
    (row,) = reward_rows(cli, "--task-score", "all").values()
    assert (row["task_score"], row["total"]) == (0.0, 0.0)


def test_what_nothing_scores_has_no_total_but_a_cost(cli: Cli) -> None:
    bare = state(tests=None)
    write_lines("t.jsonl", [line("other", [("Clarify", ASKS, {})], state=bare)])
    (row,) = reward_rows(cli).values()
    assert (row["task_score"], row["status"], row["total"]) == (None, "not_applicable", None)
    assert row["interrupt_cost"] == pytest.approx(0.08)
    (row,) = reward_rows(cli, "--w-task", 0).values()
    assert row["total"] == pytest.approx(-0.08)


def test_prose_where_code_was_due_is_no_answer(cli: Cli) -> None:
    write_lines("t.jsonl", [line("mainline", [("Execute", "I would double it.", {})])])
    (row,) = reward_rows(cli).values()
    assert (row["task_score"], row["status"], row["tests"]) == (0.0, "no_answer", [])


def test_lines_with_the_documents_fields_only(cli: Cli) -> None:
    documented = {
        "state": {**{k: v for k, v in state().items() if k not in ("id", "domain", "facts")}, "dialogue_turn": 1},
        "action": "Execute",
        "action_prompt": "Do it.",
        "assistant_msg": RIGHT,
        "persona": "ann",
        "user_reaction": {"user_reply": "Thanks.", "meta": {"reject_signal": False, "mood": "good"}},
        "is_mainline": True,
        "decision_point": 0,
        "mainline_action": "Execute",
    }
    asks = {**documented, "action": "Clarify", "assistant_msg": ASKS, "is_mainline": False}
    again = {**documented, "assistant_msg": WRONG, "is_mainline": False}
    write_lines("t.jsonl", [documented, asks, again])
    rewards = reward_rows(cli, "--domain", "coding", "--no-thin")
    name = next(iter(rewards)).split("/")[0]
    assert name.startswith("state-")
    group = f"{name}/ann/t1"
    assert {key: row["total"] for key, row in rewards.items()} == {
        f"{group}/Clarify#0": -0.08,
        f"{group}/Execute#0": 1.0,
        f"{group}/Execute#1": 0.0,
    }
    pair = json.loads(Path("pairs.jsonl").read_text())
    assert (pair["chosen_action"], pair["margin"], pair["prompt"]) == (
        "Execute", 0.58, [{"role": "user", "content": "Write a Python function that doubles a number."}]
    )  # fmt: skip
    ran = cli("reward", "--trajectories", "t.jsonl", "--rewards", "r2.jsonl", "--out", "p2.jsonl")
    assert (ran.code, "t.jsonl:1: field state.domain: is missing" in ran.err) == (2, True)


def test_the_documents_lines_of_other_models_and_states_are_no_pair(cli: Cli) -> None:
    """They are named by who played them, and only one and the same state has two actions to choose from."""
    bare = {"persona": "ann", "user_reaction": {"user_reply": "", "meta": {}}, "action_prompt": ""}
    task = {**state(), "facts": []}
    acts, asks = (
        {**bare, "state": task, "action": action, "assistant_msg": message}
        for action, message in (("Execute", RIGHT), ("Clarify", ASKS))
    )
    write_lines(
        "t.jsonl", [{**acts, "model": "A"}, {**asks, "model": "B"}, {**acts, "method": "m"}, {**asks, "seed": 1}]
    )
    assert len({row["group"] for row in reward_rows(cli, "--no-thin").values()}) == 4
    assert not read_lines("pairs.jsonl")
    write_lines("t.jsonl", [acts, {**asks, "state": {**task, "prev_reject": 1}}])
    assert len({row["group"] for row in reward_rows(cli, "--no-thin").values()}) == 1
    assert not read_lines("pairs.jsonl")


def test_lines_with_ids_and_no_group_are_grouped_by_their_state(cli: Cli) -> None:
    rows = [
        {**line("mainline", [("Execute", message, {})], state=state(name)), "id": name, "group": ""}
        for name, message in (("a", RIGHT), ("b", WRONG))
    ]
    write_lines("t.jsonl", rows)
    assert {row["group"] for row in reward_rows(cli).values()} == {"a/pat/m/t0", "b/pat/m/t0"}


def test_the_satisfaction_of_a_rollout_is_its_mean() -> None:
    row = line("other", [("Clarify", ASKS, {**META, "satisfaction": 0.9}), ("Execute", RIGHT, {"satisfaction": 0.1})])
    assert raw_counts(parse(row, Trajectory), 200)["satisfaction"] == pytest.approx(0.5)


def test_a_suspect_pass_scores_nothing_and_is_kept_apart_in_the_table(cli: Cli) -> None:
    # Test functions run in the candidate's process, where looking at frames is how a verdict is forged.
    task = state(tests="def test_twice():\n    assert twice(2) == 4\n")
    peeks = "```python\nimport sys\n\n\ndef twice(n):\n    sys._getframe(1)\n    return 2 * n\n```"
    write_lines(
        "t.jsonl",
        [line("mainline", [("Execute", peeks, {})], state=task), line("other", [("Execute", RIGHT, {})], state=task)],
    )
    rows = reward_rows(cli)
    assert (rows["g/mainline"]["status"], rows["g/mainline"]["task_score"]) == ("suspect", 0.0)
    assert (rows["g/other"]["status"], rows["g/other"]["task_score"]) == ("pass", 1.0)
    assert rows["g/other"]["tier"] == "in-process"
    shown = cli("reward", "--trajectories", "t.jsonl", "--rewards", "rewards.jsonl", "--out", "pairs.jsonl").out
    assert [" ".join(row.split("│")[1:3]).split() for row in shown.splitlines() if "answers:" in row] == [
        ["answers:", "pass", "1"],
        ["answers:", "suspect", "1"],
    ]
