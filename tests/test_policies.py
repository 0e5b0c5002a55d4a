"""Who decides: the rules as tables, thresholds, plugins and a model that is asked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from support import RIGHT, Cli, Server, persona, read_lines, state, succeeded, write_lines

from proact.llm import Models, Options, Sampling
from proact.policies import Decision, open_policy
from proact.records import Level, Persona, State

COMMAND = ("generate", "--dataset", "states.jsonl", "--branches", 0)


def p_clarify(policy: str, patience: Level, uncertainty: float, *, turn: int = 0, rejected: int = 0) -> float:
    state = State(
        id="s", domain="coding", query="q", task_uncertainty=uncertainty, dialogue_turn=turn, prev_reject=rejected
    )
    decision = Decision(state=state, persona=Persona(name="pat", patience=patience), messages=[])
    opened = open_policy(policy, Models(Options(), logged=False), "synthetic:", Sampling())
    return asyncio.run(opened.p_clarify(decision))[0]


@pytest.mark.parametrize(
    ("patience", "uncertainty", "documented", "calibrated"),
    [
        ("low", 0.1, 0, 0),
        ("low", 0.9, 0, 0),
        ("mid", 0.1, 0, 0),
        ("mid", 0.9, 0, 1),
        ("high", 0.1, 1, 0),
        ("high", 0.9, 0, 1),
        ("high", 0.49, 1, 0),
        ("high", 0.5, 0, 1),
    ],
)
def test_the_rules_are_these_tables(patience: Level, uncertainty: float, documented: int, calibrated: int) -> None:
    assert p_clarify("documented", patience, uncertainty) == documented
    assert p_clarify("calibrated", patience, uncertainty) == calibrated
    for turn, rejected in ((2, 0), (3, 0), (0, 1)):
        assert p_clarify("documented", patience, uncertainty, turn=turn, rejected=rejected) == 0
        assert p_clarify("calibrated", patience, uncertainty, turn=turn, rejected=rejected) == 0
    assert p_clarify("documented", patience, uncertainty, turn=1) == documented
    assert p_clarify("always-clarify", patience, uncertainty, turn=9, rejected=1) == 1
    assert p_clarify("always-execute", patience, uncertainty) == 0


def played(cli: Cli, value: str, *arguments: object) -> list[str]:
    write_lines("states.jsonl", [state()])
    Path("mine.py").write_text(
        "from proact import policies\n\n\n@policies.register('mine')\ndef mine(state, persona, messages):\n"
        f"    return {value}\n"
    )
    plugin = ("--model", "synthetic:", "--plugin", "mine.py", "--policy", "mine")
    succeeded(cli(*COMMAND, *plugin, *arguments))
    return [row["action"] for row in read_lines()]


@pytest.mark.parametrize(
    ("value", "threshold", "action"),
    [("0.5", 0.5, "Clarify"), ("0.499", 0.5, "Execute"), ("0.8", 0.9, "Execute"), ("0.0", 0.0, "Clarify")],
)
def test_from_the_threshold_on_it_asks(cli: Cli, value: str, threshold: float, action: str) -> None:
    assert played(cli, value, "--clarify-threshold", threshold) == [action]
    (line,) = read_lines()
    assert (line["policy"], line["method"], line["p_clarify"]) == ("mine", "mine", float(value))


@pytest.mark.parametrize("value", ["1.01", "-0.5", "float('nan')", "None", "'yes'"])
def test_a_probability_outside_its_range_is_refused(cli: Cli, value: str) -> None:
    write_lines("states.jsonl", [state()])
    with pytest.raises(AssertionError, match="policy mine gave .* as a probability of asking"):
        played(cli, value)


def test_a_plugin_that_fails_is_named_with_its_line(cli: Cli) -> None:
    with pytest.raises(AssertionError, match=r"mine\.py:6: the plugin failed: ZeroDivisionError"):
        played(cli, "1 / 0")


def test_a_prompted_policy_sees_the_rendered_state_and_nothing_else(cli: Cli, server: Server) -> None:
    reply = json.dumps({"action": "Execute", "reason": "It is clear."})
    server.answer = lambda body: reply if body["model"] == "judge" else RIGHT
    write_lines("states.jsonl", [state(dialogue_turn=1, reference="secret")])
    write_lines("pat.jsonl", [persona(profile="Likes tea.")])
    command = (*COMMAND, "--personas", "pat.jsonl", "--model", "assistant", "--base-url", server.url)
    succeeded(cli(*command, "--policy", "prompted:openai:judge", "--method", "judged"))
    (asked,) = [body for body in server.bodies if body["model"] == "judge"]
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    rendered = (
        "Kind of task: coding\n"
        "Assistant turns so far: 1\n"
        "The user refused the last question: no\n"
        "Uncertainty of the task, 0 to 1: 0.80\n"
        "About the user: Likes tea.\n"
        "Dialogue:\n"
        "<user>\n"
        "Write a Python function that doubles a number.\n"
        "</user>"
    )
    assert rendered in asked["messages"][1]["content"]
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["action", "reason"]
    (line,) = read_lines()
    assert (line["policy"], line["method"], line["p_clarify"], line["action"]) == (
        "prompted:openai:judge", "judged", 0.0, "Execute"
    )  # fmt: skip
    # The server counts 7 and 3 tokens for each of the two replies: the decision and the answer.
    assert line["usage"] == {"calls": 2, "prompt_tokens": 14, "completion_tokens": 6}


def test_two_names_for_the_policy_must_agree(cli: Cli) -> None:
    write_lines("states.jsonl", [state()])
    command = (*COMMAND, "--model", "synthetic:", "--mainline-rule", "calibrated")
    ran = cli(*command, "--policy", "documented")
    assert (ran.code, ran.err) == (
        2, "proact: --policy documented and --mainline-rule calibrated contradict each other\n"
    )  # fmt: skip
    succeeded(cli(*command, "--policy", "calibrated"))
    assert read_lines()[0]["policy"] == "calibrated"
