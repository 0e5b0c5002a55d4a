"""feedback: the rewards of seeds/000 wherever its code can read a reply, and no reward where it guesses."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, NamedTuple

from judge_server import Body, JudgeServer, Shell, asked, dialogue

from proact.labels import FEEDBACK, REWARD_MAP, gated

TURNS = 500
TAU = 0.6


class Documented(NamedTuple):
    reward: float
    should_update: bool


def documented(raw: str) -> Documented | None:
    """The parsing and gating of seeds/000 as it stands there; None where its code falls back on a guess."""
    try:
        parsed = json.loads(raw)
        label = parsed["label"]
        confidence = float(parsed["confidence"])
    except (json.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    if label not in REWARD_MAP:
        return None
    reward = REWARD_MAP[label]
    should_update = confidence >= TAU and label != "topic_shift"
    return Documented(reward if should_update else 0.0, should_update)


def raw_reply(number: int) -> str:
    """What a model might say to turn `number`: mostly good, sometimes odd, sometimes of no use."""
    chance = random.Random(number)
    label, confidence = chance.choice(list(REWARD_MAP)), round(chance.random(), 2)
    reply: dict[str, Any] = {"label": label, "confidence": confidence, "rationale": "r"}
    match number % 10:
        case 0:
            del reply["rationale"]
        case 1:
            reply["confidence"] = f"{confidence}"
        case 2:
            reply["extra"] = {"nested": ["}", "{"]}
        case 3:
            return "not JSON"
        case 4:
            reply["label"] = "pos_prase"
        case 5:
            reply["confidence"] = chance.choice((0, 1, 0.6))
    return json.dumps(reply)


def test_500_turns_earn_what_the_documents_algorithm_gives(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    rows = [{"id": f"{n}", "messages": dialogue(f"TURN {n} question", "answer", "reaction")} for n in range(TURNS)]
    shell.write("logs.jsonl", rows)

    def answer(body: Body, attempt: int) -> str:
        return raw_reply(int(asked(body).split("TURN ")[1].split()[0]))

    with JudgeServer(answer) as server:
        arguments = ("--in", "logs.jsonl", "--out", "v.jsonl", "--base-url", server.url)
        report = shell.run("judge", "feedback", *arguments, code=3)
    verdicts = {verdict["trajectory"]: verdict for verdict in shell.rows("v.jsonl")}
    expected = {f"{n}": documented(raw_reply(n)) for n in range(TURNS)}
    for name, found in expected.items():
        if found is None:
            assert name not in verdicts
        else:
            verdict = verdicts[name]
            assert gated(verdict["label"], verdict["confidence"], TAU) == found
            assert verdict["score"] == REWARD_MAP[verdict["label"]], "never a gated number"
    assert len(verdicts) == sum(found is not None for found in expected.values()) == TURNS * 8 // 10
    assert report["judges"][0]["missing"] == TURNS * 2 // 10


def test_the_prompt_says_what_the_document_says(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{"id": "a", "messages": dialogue("first", "one", "second", "two", "third")}])
    reply = json.dumps({"label": "neutral", "confidence": 1, "rationale": ""})
    with JudgeServer(lambda body, attempt: reply) as server:
        shell.run("judge", "feedback", "--in", "logs.jsonl", "--out", "v.jsonl", "--base-url", server.url)
        bodies = sorted(server.requests, key=asked)
    for body in bodies:
        assert body["model"] == "gpt-5-nano"
        assert body["max_completion_tokens"] == 2048
        assert "temperature" not in body, "a reasoning model takes none"
        system = body["messages"][0]["content"]
        assert all(f"- {label.name}: {label.definition}" in system for label in FEEDBACK)
        assert "按我说的" in system
    texts = [asked(body) for body in bodies]
    assert ["first" in text for text in texts] == [True, False], "the judge sees the turn alone, no history"
    assert [verdict["at"] for verdict in shell.rows("v.jsonl")] in ([2, 4], [4, 2])


def test_equal_turns_cost_one_call(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{"id": f"{n}", "messages": dialogue("q", "a", "thanks")} for n in range(50)])
    reply = json.dumps({"label": "pos_praise", "confidence": 1, "rationale": ""})
    with JudgeServer(lambda body, attempt: reply) as server:
        shell.run("judge", "feedback", "--in", "logs.jsonl", "--out", "v.jsonl", "--base-url", server.url)
        assert len(server.requests) == 1
    assert len(shell.rows("v.jsonl")) == 50


def test_a_conversation_without_a_reaction_is_not_applicable(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{"id": "a", "messages": dialogue("q", "a")}])
    report = shell.run("judge", "feedback", "--in", "logs.jsonl", "--out", "v.jsonl", "--model", "synthetic:")
    (row,) = report["judges"]
    assert (row["judged"], row["not_applicable"], row["missing"]) == (0, 1, 0)


def test_the_rewards_are_the_documents() -> None:
    assert REWARD_MAP == {
        "neg_constraint_restate": -1.0,
        "neg_correction": -0.8,
        "neg_confusion": -0.6,
        "pos_praise": 0.8,
        "pos_progress": 0.1,
        "neutral": 0.0,
        "topic_shift": 0.0,
    }
    assert gated("topic_shift", 1.0) == (0.0, False)
    assert gated("neg_correction", 0.6) == (-0.8, True)
    assert gated("neg_correction", 0.59) == (0.0, False)
    assert gated("neg_correction", 0.59, 0.5) == (-0.8, True)
