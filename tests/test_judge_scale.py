"""1,000 conversations before all judges, with 15 % faults of every kind, killed twice and resumed."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from judge_server import Answer, Body, JudgeServer, Shell, dialogue, good, judge_of

CONVERSATIONS = 1000
FAULTS = 0.15
JUDGES = ("feedback", "correctness", "compliance", "conflict", "effort", "ruler")
RUNS = 12


def row(number: int) -> dict[str, Any]:
    wishes = [{"preference": f"Wish {k} of {number}."} for k in (1, 2)]
    scenario = {"turn_idx": 1, "preferences": wishes, "expected_idx": 0}
    messages = dialogue(f"Ask {number // 4}.", f"Say {number}.", f"More {number}.", f"Rest {number}.", "Thanks.")
    return {
        "id": f"c{number}",
        "group": f"g{number // 4}",
        "messages": messages,
        "preferences": wishes if number % 5 else [],
        "solution": f"{number}",
        "conflict_scenarios": [scenario] if number % 10 == 0 else [],
    }


def subjects() -> dict[str, int]:
    """What each judge has to judge in these conversations."""
    without = CONVERSATIONS // 5
    compliance = 2 * (CONVERSATIONS - without) + without
    each = dict.fromkeys(("correctness", "conflict", "effort"), CONVERSATIONS)
    return {"feedback": 2 * CONVERSATIONS, "compliance": compliance, "ruler": CONVERSATIONS // 4, **each}


class Faulty:
    """A server of which 15 % of the answers are faults, drawn per request and attempt."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self.usable: Counter[str] = Counter()

    def __call__(self, body: Body, attempt: int) -> Answer | str:
        key = json.dumps(body["messages"])
        chance = random.Random(f"{key} {attempt}")
        text = json.dumps(good(body))
        if chance.random() >= FAULTS:
            self.usable[key] += 1
            return text
        faults: dict[str, Answer | str] = {
            "busy": Answer(status=429, headers={"retry-after": "0.02"}),
            "broken": Answer(status=500),
            "page": Answer(body="<html>Bad gateway</html>"),
            "no choice": Answer(body='{"choices": []}'),
            "empty": Answer(""),
            "null": Answer(None),
            "truncated": Answer(text[: len(text) // 2], finish="length"),
            "all thought": Answer("", finish="length"),
            "prose": "I cannot tell.",
            "out of range": text.replace("0.", "9.").replace("1", "77"),
        }
        kind = chance.choice(list(faults))
        self.faults[kind] += 1
        return faults[kind]


def test_a_thousand_conversations_are_complete_after_kills(tmp_path: Path) -> None:
    shell, faulty = Shell(tmp_path), Faulty()
    shell.write("logs.jsonl", map(row, range(CONVERSATIONS)))
    out = tmp_path / "v.jsonl"
    with JudgeServer(faulty) as server:
        fixed = ("--in", "logs.jsonl", "--out", "v.jsonl", "--model", "m", "--base-url", server.url)
        arguments = ("judge", *JUDGES, *fixed, "--max-attempts", "5", "--concurrency", "64")
        for size in (300_000, 1_500_000):
            process = shell.start(*arguments)
            while process.poll() is None and (not out.exists() or out.stat().st_size < size):
                time.sleep(0.01)
            assert process.poll() is None, "it was to be killed while it works"
            process.kill()
            process.communicate()
        for _ in range(RUNS):
            code, summary, _ = shell.call(*arguments, "--json")
            if code == 0:
                break
            assert code == 3
    report = json.loads(summary)
    assert len(faulty.faults) == 10
    verdicts = shell.rows("v.jsonl")
    assert len({verdict["id"] for verdict in verdicts}) == len(verdicts)
    assert not (tmp_path / "v.failures.jsonl").exists()
    rows = {found["judge"]: found for found in report["judges"]}
    assert {judge: found["subjects"] for judge, found in rows.items()} == subjects()
    for found in rows.values():
        assert found["judged"] + found["not_applicable"] == found["subjects"]
    assert rows["ruler"]["judged"] == CONVERSATIONS // 4
    assert max(faulty.usable.values()) <= 2, "a call in flight at a kill is paid again, and no other"
    twice = sum(count == 2 for count in faulty.usable.values())
    assert twice <= 2 * 64 + len(faulty.faults)


def test_all_judges_on_equal_conversations_cost_one_call_each(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{**row(1), "id": f"{n}", "group": f"g{n // 2}"} for n in range(40)])
    with JudgeServer(lambda body, attempt: json.dumps(good(body))) as server:
        fixed = ("--in", "logs.jsonl", "--out", "v.jsonl", "--model", "m", "--base-url", server.url)
        report = shell.run("judge", *JUDGES, *fixed)
        calls = Counter(map(judge_of, server.requests))
        assert calls == {"feedback": 2, "compliance": 2, "correctness": 1, "ruler": 1}
    assert all(found["missing"] == 0 for found in report["judges"])
