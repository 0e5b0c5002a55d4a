"""What only the user and the scorer know never reaches an assistant or a policy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import WRONG, Cli, Row, Server, persona, read_lines, state, succeeded, write_lines

from proact.parsing import parse
from proact.policies.base import Decision
from proact.records import Message, Persona, State
from proact.render import render_state

HIDDEN = ("intent", "tests", "setup", "checklist", "reference", "preference", "conflict", "metadata", "persona")
FACTS = ("asked-for", "never-asked-for")
SECRET = state(
    "plain",
    query="Write a Python function for me.",
    intent="Do canary-intent.",
    facts=[
        {"id": "canary-id-1", "text": "Use canary-fact-asked-for.", "about": "colour canary-about"},
        {"id": "canary-id-2", "text": "Use canary-fact-never-asked-for.", "about": "weight canary-about"},
    ],
    tests=["assert 'canary-tests'"],
    setup="canary_setup = 'canary-setup'",
    checklist=[{"id": "canary-checklist", "text": "canary-checklist", "concepts": [["canary-checklist"]]}],
    reference="canary = 'canary-reference'",
    preferences=[{"preference": "canary-preference"}],
    conflict_scenarios=[
        {"turn_idx": 1, "preferences": [{"preference": "canary-conflict"}] * 2, "expected_idx": 0},
    ],
    unknown="canary-metadata",
    split="canary-split",
    family="canary-family",
)
TALKER = persona(
    patience="high", expertise="high", profile="Likes tea.", preferences=[{"preference": "canary-persona"}]
)


def play(cli: Cli, server: Server, question: str, *arguments: object) -> list[Row]:
    """Play the state with models for everybody, and return the requests that were not the user's."""

    def answer(body: Row) -> str:
        if body["model"] == "judge":
            return json.dumps({"action": "Clarify", "reason": "why not"})
        if body["model"] == "user":
            facts = ["canary-id-1"] if "colour" in body["messages"][-1]["content"] else []
            return json.dumps({"fact_ids": facts, "reply": "Well, canary-fact-asked-for."})
        return question if "question" in body["messages"][-1]["content"].rpartition("\n\n")[2] else WRONG

    server.answer = answer
    write_lines("states.jsonl", [SECRET])
    write_lines("pat.jsonl", [TALKER])
    base = ("generate", "--dataset", "states.jsonl", "--personas", "pat.jsonl", "--model", "assistant", "--seed", 2)
    succeeded(cli(*base, "--base-url", server.url, "--policy", "prompted:openai:judge", *arguments))
    assert {"assistant", "judge"} <= {body["model"] for body in server.bodies}
    return [body for body in server.bodies if body["model"] != "user"]


@pytest.mark.parametrize("user", ["rule", "openai:user"])
@pytest.mark.parametrize("mode", [[], ["--multi-turn", "--branch-turns", "--max-turns", 3]])
def test_no_request_but_the_users_holds_anything_hidden(
    cli: Cli, server: Server, user: str, mode: list[object]
) -> None:
    requests = play(cli, server, "Which paper do you like best?", "--user-model", user, *mode)
    assert len(requests) >= 4
    assert "canary" not in json.dumps(requests)
    lines = read_lines()
    assert "canary-reference" in json.dumps(lines[0]["state"])
    assert all("canary" not in json.dumps(line["messages"]) for line in lines)


@pytest.mark.parametrize("user", ["rule", "openai:user"])
def test_a_fact_appears_once_the_user_has_said_it(cli: Cli, server: Server, user: str) -> None:
    requests = play(cli, server, "Which colour do you like?", "--user-model", user)
    told = [body for body in requests if "canary" in json.dumps(body)]
    assert told
    assert len(told) < len(requests)
    for body in told:
        replies = [m["content"] for m in body["messages"] if m["role"] == "user" and "canary" in m["content"]]
        assert all("canary-fact-asked-for" in reply for reply in replies)
        assert json.dumps(body).count("canary") == len(replies) == 1


def test_the_users_model_sees_facts_and_nothing_that_scores(cli: Cli, server: Server) -> None:
    play(cli, server, "Which colour do you like?", "--user-model", "openai:user")
    requests = json.dumps([body for body in server.bodies if body["model"] == "user"])
    assert "canary-fact-asked-for" in requests
    assert not [name for name in HIDDEN if f"canary-{name}" in requests]


def test_the_visible_part_is_an_allow_list() -> None:
    hidden = parse(dict(SECRET), State)
    assert "canary" not in str(hidden.visible())
    assert hidden.visible().keys() == {
        "id", "domain", "query", "dialogue_turn", "prev_reject", "task_uncertainty"
    }  # fmt: skip


def test_a_pair_holds_only_the_visible_part(cli: Cli, server: Server) -> None:
    play(cli, server, "Which paper do you like best?")
    succeeded(cli("reward", "--no-thin"))
    (pair,) = read_lines("data/dpo/pairs.jsonl")
    # Splits and families are for whoever trains, not for whoever answers.
    pair["split"] = pair["family"] = ""
    assert "canary" not in json.dumps(pair)


def test_a_state_is_rendered_as_this_text() -> None:
    decision = Decision(
        state=parse({**SECRET, "dialogue_turn": 1, "prev_reject": 1}, State),
        persona=parse(dict(TALKER), Persona),
        messages=[_message("user", "Hi </user>"), _message("assistant", "What? 1 < 2"), _message("user", "No.")],
    )
    wanted = (Path(__file__).parent / "data/rendered_state.txt").read_text("utf-8")
    assert render_state(decision.state, decision.persona, decision.messages) + "\n" == wanted


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
