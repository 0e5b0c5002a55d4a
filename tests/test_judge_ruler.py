"""ruler: each trajectory gets its own score, whatever order they are shown or answered in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from judge_server import Answer, Body, JudgeServer, Shell, asked, dialogue

from proact.judges import Case, Setup, Subject, open_judge
from proact.judges.asking import again
from proact.judges.ruler import TrajectoryScore

WORTH = re.compile(r"worth (0\.\d+)")


def by_content(body: Body, *, backwards: bool = True) -> str:
    """A judge that reads what each trajectory says it is worth, and lists the scores from last to first."""
    blocks = re.findall(r'<trajectory id="(\d+)">\n(.*?)\n</trajectory>', asked(body), re.DOTALL)
    scores = []
    for name, block in blocks:
        found = WORTH.search(block)
        assert found, block
        scores.append({"trajectory_id": name, "explanation": f"says {found[1]}", "score": float(found[1])})
    return json.dumps({"scores": scores[::-1] if backwards else scores})


def log(group: int, number: int, worth: float, **fields: Any) -> dict[str, Any]:
    messages = dialogue(f"Goal {group}.", f"Try {number}, worth {worth:.3f}.")
    system = {"role": "system", "content": "You are helpful."}
    return {"id": f"{group}-{number}", "group": f"g{group}", "messages": [system, *messages], **fields}


def run(shell: Shell, rows: list[dict[str, Any]], server: JudgeServer, *more: object, code: int = 0) -> dict[str, Any]:
    shell.write("logs.jsonl", rows)
    arguments = ("--in", "logs.jsonl", "--out", "v.jsonl", "--model", "m", "--base-url", server.url)
    return shell.run("judge", "ruler", *arguments, *more, code=code)


def test_every_trajectory_gets_its_own_score_in_groups_of_2_to_16(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    rows = [log(size, number, number / 100 + size / 1000) for size in range(2, 17) for number in range(size)]
    with JudgeServer(lambda body, attempt: by_content(body)) as server:
        report = run(shell, rows, server)
        assert len(server.requests) == 15
    verdicts = {verdict["trajectory"]: verdict for verdict in shell.rows("v.jsonl")}
    assert len(verdicts) == len(rows)
    for row in rows:
        found = WORTH.search(row["messages"][-1]["content"])
        assert found
        assert verdicts[row["id"]]["score"] == float(found[1])
        assert verdicts[row["id"]]["rationale"] == f"says {found[1]}"
    places = [verdicts[f"16-{number}"]["detail"]["place"] for number in range(16)]
    assert sorted(places) == list(range(1, 17))
    assert places != sorted(places)
    assert report["judges"][0]["mean"] is None, "scores of different groups have no common mean"


def test_the_prefix_and_the_tools_are_shown_once(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"word": "Bär"}'}}
    rows = [log(0, number, number / 10, tools=tools) for number in (1, 2)]
    rows[0]["messages"].insert(2, {"role": "assistant", "content": None, "tool_calls": [call]})
    with JudgeServer(lambda body, attempt: by_content(body)) as server:
        run(Shell(tmp_path), rows, server)
        (body,) = server.requests
    text = asked(body)
    assert text.count("You are helpful.") == text.count("Goal 0.") == 1
    assert text.count('"name":"look_up"}') == 1
    assert text.count("<available_tools>") == 1
    assert "Bär" in text, "a tool call is shown, in its own letters"


def test_different_tools_in_a_group_are_a_failure(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    rows = [log(0, 1, 0.1, tools=[{"name": "a"}]), log(0, 2, 0.2, tools=[])]
    with JudgeServer(lambda body, attempt: by_content(body)) as server:
        run(shell, rows, server, code=3)
        assert server.requests == []
    (failure,) = shell.rows("v.failures.jsonl")
    assert (failure["judge"], failure["error"]) == ("ruler", "Unjudgeable")
    assert "different tools" in failure["message"]


def test_equal_trajectories_are_scored_once_and_share_the_score(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    rows = [log(0, 1, 0.3), log(0, 2, 0.8), log(0, 1, 0.3) | {"id": "0-3"}]
    rows += [log(1, 1, 0.4), log(1, 1, 0.4) | {"id": "1-2"}]
    with JudgeServer(lambda body, attempt: by_content(body)) as server:
        run(shell, rows, server)
        shown = sorted(len(re.findall("<trajectory id=", asked(body))) for body in server.requests)
    assert shown == [1, 2]
    scores = {verdict["trajectory"]: verdict["score"] for verdict in shell.rows("v.jsonl")}
    assert scores == {"0-1": 0.3, "0-3": 0.3, "0-2": 0.8, "1-1": 0.4, "1-2": 0.4}


def test_a_trajectory_that_is_the_prefix_of_another_is_still_shown() -> None:
    short = dialogue("Goal.", "Stops here.")
    text = shown([short, [*short, *dialogue("And?", "Goes on.")]])
    assert text.count("Stops here.") == 2
    assert "Goes on." in text


def test_the_order_is_shuffled_by_seed_and_repeat() -> None:
    judge, (subject,) = open_judge("ruler"), group([dialogue("Goal.", f"Try {n}.") for n in range(8)])
    orders = [judge.messages(again(subject, repeat, seed)) for seed in (0, 1) for repeat in (0, 1)]
    assert len({str(order) for order in orders}) == 4
    assert judge.messages(again(subject, 1, 1)) == orders[3]


def test_repeats_give_a_mean_and_a_spread(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    worths = iter((0.2, 0.6))

    def answer(body: Body, attempt: int) -> str:
        score = next(worths)
        ids = re.findall(r'<trajectory id="(\d+)">', asked(body))
        return json.dumps({"scores": [{"trajectory_id": n, "explanation": "", "score": score} for n in ids]})

    with JudgeServer(answer) as server:
        report = run(shell, [log(0, 1, 0.1), log(0, 2, 0.2)], server, "--repeats", 2)
    assert report["judges"][0]["spread"] == pytest.approx(0.2)
    assert sorted(verdict["repeat"] for verdict in shell.rows("v.jsonl")) == [0, 0, 1, 1]


def test_a_refused_reply_is_shown_its_error_once(tmp_path: Path) -> None:
    shell = Shell(tmp_path)

    def answer(body: Body, attempt: int) -> str:
        if len(body["messages"]) == 2:
            return json.dumps({"scores": [{"trajectory_id": "1", "explanation": "", "score": 0.5}] * 2})
        return by_content(body)

    with JudgeServer(answer) as server:
        run(shell, [log(0, 1, 0.1), log(0, 2, 0.2)], server)
        first, second = server.requests
    assert len(first["messages"]) == 2
    assert "expected each of the ids 1, 2 once, got 1, 1" in second["messages"][-1]["content"]
    assert {verdict["score"] for verdict in shell.rows("v.jsonl")} == {0.1, 0.2}


def test_a_rubric_of_ones_own_replaces_the_default(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "mine.txt").write_text("- The shorter, the better. Pay $5 for <b>brevity</b>.", "utf-8")
    with JudgeServer(lambda body, attempt: by_content(body)) as server:
        run(shell, [log(0, 1, 0.1), log(0, 2, 0.2)], server, "--rubric", "mine.txt")
        (body,) = server.requests
    system = body["messages"][0]["content"]
    assert "Pay $5 for <b>brevity</b>." in system
    assert "fewer detours" not in system


def test_conversations_without_a_group_are_not_applicable(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    row = log(0, 1, 0.1)
    del row["group"]
    with JudgeServer(lambda body, attempt: Answer(status=500)) as server:
        report = run(shell, [row], server)
    assert report["judges"][0]["not_applicable"] == 1
    assert [verdict["score"] for verdict in shell.rows("v.jsonl")] == [None]


def test_debug_shows_the_reasons(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [log(0, 1, 0.1), log(0, 2, 0.2)])
    with JudgeServer(lambda body, attempt: by_content(body)) as server:
        arguments = ("--in", "logs.jsonl", "--out", "v.jsonl", "--model", "m", "--base-url", server.url, "--debug")
        _, _, notes = shell.call("judge", "ruler", *arguments)
    assert "says 0.100" in notes


def test_a_score_is_a_number_from_0_to_1() -> None:
    for bad in (7, -0.1, float("nan"), True, "high"):
        with pytest.raises(ValueError, match="score"):
            TrajectoryScore.model_validate({"trajectory_id": "1", "explanation": "", "score": bad})
    assert TrajectoryScore.model_validate({"trajectory_id": 1, "score": "0.5"}).trajectory_id == "1"


def group(trajectories: list[list[dict[str, Any]]]) -> list[Subject]:
    cases = [Case(id=f"{n}", conversation=f"{n}", group="g", messages=one) for n, one in enumerate(trajectories)]
    judge = open_judge("ruler", Setup())
    return list(judge.subjects(cases))  # type: ignore[arg-type]


def shown(trajectories: list[list[dict[str, Any]]]) -> str:
    (subject,) = group(trajectories)
    return str(open_judge("ruler").messages(subject)[1]["content"])
