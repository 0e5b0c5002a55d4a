"""Whatever a judge's model replies, there is a right verdict or a failure that says why, and never a default number."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from judge_server import Answer, Body, JudgeServer, Shell, asked, dialogue, good

JUDGES = ("feedback", "correctness", "compliance", "conflict", "ruler")
READABLE = ("valid", "nested", "prose", "fenced", "repaired")
UNREADABLE = ("wrong_id", "out_of_range", "truncated", "empty", "hostile", "list", "nothing", "wrong_type")
OFF: dict[str, tuple[dict[str, Any], ...]] = {
    "feedback": ({"label": "pos_prase"}, {"confidence": 95}, {"confidence": "high"}),
    "correctness": ({"is_correct": "perhaps"}, {"confidence": -0.1}, {"is_correct": None}),
    "compliance": ({"followed": [7]}, {"applicable_preferences": [1, 2, 3]}, {"violated": "3"}),
    "conflict": ({"preference_applied": 3}, {"preference_applied": -1}, {"preference_applied": True}),
}
SCORES = {"feedback": 0.1, "correctness": 1.0, "compliance": 0.5, "conflict": 1.0, "ruler": 0.5}
EXPECTED_LABEL = {"feedback": "pos_progress", "correctness": "correct", "compliance": "violated"}


def conversation(kind: str, judge: str) -> dict[str, Any]:
    wishes = [{"preference": f"Wish {number} of {kind}."} for number in (1, 2, 3)]
    return {
        "id": f"{judge}-{kind}",
        "group": f"group-{kind}",
        "messages": dialogue(f"KIND={kind} question", f"answer about {kind}", "Go on, please."),
        "preferences": wishes,
        "problem": f"KIND={kind}",
        "solution": "42",
        "conflict_scenarios": [{"turn_idx": 1, "preferences": wishes[:2], "expected_idx": 0}],
    }


def reply(judge: str, kind: str, body: Body, text: str) -> Answer | str:
    right = good(body)
    if kind == "repaired" and len(body["messages"]) == 2:
        return json.dumps(spoiled(judge, right, 0))
    shapes: dict[str, Answer | str] = {
        "valid": text,
        "repaired": text,
        "nested": json.dumps({**right, "more": {"deep": [{"er": "}{"}], "types": {}}}),
        "prose": f"Let me {{think}}. I would say:\n{text}\nThat is all.",
        "fenced": f"```json\n{json.dumps(right, indent=2)}\n```",
        "wrong_id": json.dumps(spoiled(judge, right, 0)),
        "out_of_range": json.dumps(spoiled(judge, right, 1)),
        "wrong_type": json.dumps(spoiled(judge, right, 2)),
        "truncated": Answer(text[: len(text) // 2], finish="length"),
        "empty": "",
        "hostile": '{"a":' * 3000 + ' "correct" true pos_praise \ud800',
        "list": f"[{json.dumps(list(right))}]",
        "nothing": "The answer is incorrect.",
    }
    return shapes[kind]


def spoiled(judge: str, right: dict[str, Any], how: int) -> dict[str, Any]:
    if judge != "ruler":
        return {**right, **OFF[judge][how]}
    first, *others = right["scores"]
    bad = ({"trajectory_id": "99"}, {"score": 7}, {"score": True})[how]
    return {"scores": [{**first, **bad}, *others]}


@pytest.fixture(scope="module", params=JUDGES)
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Shell, Any]:
    judge = request.param
    shell = Shell(tmp_path_factory.mktemp(judge))
    shell.write("logs.jsonl", [conversation(kind, judge) for kind in (*READABLE, *UNREADABLE)])

    def answer(body: Body, attempt: int) -> Answer | str:
        kind = re.search(r"KIND=(\w+)|of (\w+)\.|about (\w+)", asked(body))
        assert kind
        return reply(judge, next(filter(None, kind.groups())), body, json.dumps(good(body)))

    with JudgeServer(answer) as server:
        arguments = ("--in", "logs.jsonl", "--out", "verdicts.jsonl", "--model", "m", "--base-url", server.url)
        report = shell.run("judge", judge, *arguments, "--max-attempts", 2, code=3)
    return judge, shell, report


def test_what_can_be_read_gives_the_right_verdict(judged: tuple[str, Shell, Any]) -> None:
    judge, shell, _ = judged
    verdicts = {verdict["trajectory"]: verdict for verdict in shell.rows("verdicts.jsonl")}
    assert set(verdicts) == {f"{judge}-{kind}" for kind in READABLE}
    for verdict in verdicts.values():
        assert verdict["score"] == SCORES[judge]
        assert verdict["label"] == EXPECTED_LABEL.get(judge, verdict["label"])
        assert verdict["raw"]


def test_what_cannot_be_read_gives_a_failure_and_no_number(judged: tuple[str, Shell, Any]) -> None:
    judge, shell, _ = judged
    failures = shell.rows("verdicts.failures.jsonl")
    assert len(failures) == len(UNREADABLE)
    for kind in UNREADABLE:
        (failure,) = [one for one in failures if re.search(rf"(-|^group-){kind}/", one["ids"][0])]
        assert (failure["judge"], failure["error"]) == (judge, "ReplyError")
        assert failure["message"]
        assert isinstance(failure["raw"], str)
        assert bool(failure["raw"]) is (kind != "empty")


def test_verdicts_and_failures_are_all_subjects(judged: tuple[str, Shell, Any]) -> None:
    _, _, report = judged
    (row,) = report["judges"]
    assert row["subjects"] == len(READABLE) + len(UNREADABLE)
    assert row["judged"] + row["not_applicable"] + row["missing"] == row["subjects"]
    assert (row["judged"], row["missing"]) == (len(READABLE), len(UNREADABLE))


def test_a_failed_subject_is_asked_again_next_time(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{"id": "a", "messages": dialogue("q", "a", "thanks")}])
    broken = True

    def answer(body: Body, attempt: int) -> Answer | str:
        return "neutral, I think" if broken else json.dumps(good(body))

    with JudgeServer(answer) as server:
        arguments = ("judge", "feedback", "--in", "logs.jsonl", "--out", "v.jsonl", "--base-url", server.url)
        shell.run(*arguments, code=3)
        assert shell.rows("v.jsonl") == []
        broken = False
        shell.run(*arguments)
    assert [verdict["label"] for verdict in shell.rows("v.jsonl")] == ["pos_progress"]
    assert shell.rows("v.failures.jsonl") == []


def test_what_the_server_takes_is_found_out_once(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{"id": f"{n}", "messages": dialogue(f"q{n}", "a", "thanks")} for n in range(20)])

    def answer(body: Body, attempt: int) -> Answer | str:
        if "response_format" in body:
            return Answer(status=400, body='{"error": {"message": "response_format is not supported"}}')
        return json.dumps(good(body))

    with JudgeServer(answer) as server:
        arguments = ("--in", "logs.jsonl", "--out", "v.jsonl", "--base-url", server.url, "--concurrency", 1)
        shell.run("judge", "feedback", *arguments)
        formats = [body.get("response_format", {}).get("type", "text") for body in server.requests]
    assert formats == ["json_schema", "json_object", *["text"] * 20]
    assert "JSON schema" in server.requests[-1]["messages"][-1]["content"]


@pytest.mark.parametrize("judge", JUDGES)
def test_the_schema_is_one_that_a_server_can_enforce(judge: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [conversation("valid", judge)])
    with JudgeServer(lambda body, attempt: json.dumps(good(body))) as server:
        arguments = ("--in", "logs.jsonl", "--out", "v.jsonl", "--model", "m", "--base-url", server.url)
        shell.run("judge", judge, *arguments)
        form = server.requests[0]["response_format"]["json_schema"]
    assert form["strict"] is True
    text = json.dumps(form["schema"])
    assert not re.search(r'"(default|ge|le|\$schema)":', text)
    if judge in ("feedback", "correctness", "ruler"):
        assert '"maximum": 1, "minimum": 0' in text
