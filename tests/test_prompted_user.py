"""A user that a language model plays: it picks facts by id, is corrected once, and cannot make facts up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import ASKS, RIGHT, Cli, Ran, Row, persona, read_lines, state, succeeded, write_lines

COMMAND = ("generate", "--dataset", "states.jsonl", "--personas", "pat.jsonl", "--branches", 0, "--seed", 2)


def play(cli: Cli, user: list[Row], *arguments: object, **fields: Any) -> Ran:
    write_lines("states.jsonl", [state(**fields)])
    write_lines("pat.jsonl", [persona(patience="high", expertise="high")])
    write_lines("assistant.jsonl", [{"reply": ASKS}, {"reply": RIGHT}])
    write_lines("user.jsonl", user)
    models = ("--model", "scripted:assistant.jsonl", "--user-model", "scripted:user.jsonl")
    return cli(*COMMAND, *models, "--mainline-action", "Clarify", *arguments)


def reply(text: str, *facts: str) -> Row:
    return {"reply": json.dumps({"fact_ids": facts, "reply": text})}


def test_it_says_in_its_own_words_what_it_picked(cli: Cli) -> None:
    succeeded(play(cli, [reply("Call it twice, please.", "name")]))
    (line,) = read_lines()
    assert line["user_reaction"]["user_reply"] == "Call it twice, please."
    assert line["user_reaction"]["meta"]["revealed"] == ["name"]
    assert line["user_reaction"]["meta"]["answer_clarity"] == 1.0
    assert line["user_model"] == "scripted:user.jsonl"
    # The question, the reply of the user and the answer.
    assert line["usage"]["calls"] == 3


def test_an_unknown_id_is_shown_to_it_once(cli: Cli) -> None:
    correction = {**reply("It is called twice.", "name"), "when": "fact_ids: 'colour' is not one of name"}
    succeeded(play(cli, [reply("It is red.", "colour"), correction]))
    (line,) = read_lines()
    assert line["user_reaction"]["user_reply"] == "It is called twice."


def test_a_second_unusable_reply_is_a_failed_job_with_its_evidence(cli: Cli) -> None:
    bad = reply("It is red.", "colour")
    ran = play(cli, [bad, bad])
    assert ran.code == 3
    assert read_lines() == []
    (failure,) = read_lines("data/logs/trajectories.failures.jsonl")
    assert failure["error"] == "ReplyError"
    assert "'colour' is not one of name" in failure["message"]
    assert failure["raw"] == bad["reply"]
    assert failure["ids"] == ["double/pat/documented/2/t0/mainline"]


def test_more_facts_than_questions_are_refused(cli: Cli) -> None:
    facts = [
        {"id": "name", "text": "It is called twice.", "about": "called"},
        {"id": "sign", "text": "It keeps the sign.", "about": "sign"},
    ]
    ran = play(cli, [reply("All of it.", "name", "sign")] * 2, facts=facts, id="t8")
    assert ran.code == 3
    assert "at most 1, one for each question" in Path("data/logs/trajectories.failures.jsonl").read_text()


def test_the_failure_is_gone_when_the_next_run_makes_it_good(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    play(cli, [reply("It is red.", "colour")] * 2)
    assert Path("data/logs/trajectories.failures.jsonl").exists()
    monkeypatch.setenv("PROACT_CACHE_DIR", str(Path("fresh").absolute()))
    succeeded(play(cli, [reply("It is called twice.", "name")]))
    assert len(read_lines()) == 1
    assert not Path("data/logs/trajectories.failures.jsonl").exists()
