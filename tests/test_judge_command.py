"""The judge command: what it reads, what it asks, what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from judge_server import Body, JudgeServer, Shell, asked, dialogue, good, judge_of

EXAMPLE = Path(__file__).parent.parent / "examples" / "my_judge.py"
WISHES = [{"preference": "Use bullets.", "condition": "lists"}, {"preference": "Be brief."}]


def judge(shell: Shell, rows: list[dict[str, Any]], *arguments: object, code: int = 0) -> tuple[Any, list[Body], Any]:
    """The rows of the summary by judge, the requests that were made, and the verdicts."""
    shell.write("logs.jsonl", rows)
    with JudgeServer(lambda body, attempt: json.dumps(good(body))) as server:
        fixed = ("--in", "logs.jsonl", "--out", "v.jsonl", "--model", "m", "--base-url", server.url)
        report = shell.run("judge", *arguments, *fixed, code=code)
        requests = list(server.requests)
    return {row["judge"]: row for row in report["judges"]}, requests, shell.rows("v.jsonl")


def test_compliance_and_over_personalization_are_one_call_per_turn(tmp_path: Path) -> None:
    wishes = [*WISHES, {"preference": "Use Python."}]
    signals = {"mood": "rushed"}
    row = {"id": "a", "preferences": wishes, "context_signals": signals}
    row["messages"] = dialogue("one", "two", "three", "four", "five")
    found, requests, verdicts = judge(Shell(tmp_path), [row], "compliance")
    assert len(requests) == 2
    assert all("rushed" in asked(body) and "When: lists -> Use bullets." in asked(body) for body in requests)
    assert {verdict["at"] for verdict in verdicts} == {1, 3}
    for verdict in verdicts:
        assert verdict["score"] == 0.5
        detail = verdict["detail"]
        assert (detail["applicable_preferences"], detail["followed"], detail["violated"]) == ([1, 2], [1], [2])
        assert detail["violation_types"] == {"2": "wrong_format"}
        assert detail["over_personalization"] == [3]
    assert found["compliance"]["mean"] == 0.5


def test_where_no_preference_applies_the_score_is_null(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{"id": "a", "messages": dialogue("q", "a"), "preferences": WISHES}])
    nothing = {"applicable_preferences": [], "followed": [], "violated": [], "over_personalization": [1]}
    with JudgeServer(lambda body, attempt: json.dumps(nothing)) as server:
        fixed = ("--in", "logs.jsonl", "--out", "v.jsonl", "--model", "m", "--base-url", server.url)
        report = shell.run("judge", "compliance", *fixed)
    assert report["judges"][0]["not_applicable"] == 1
    (verdict,) = shell.rows("v.jsonl")
    assert (verdict["score"], verdict["detail"]["over_personalization"]) == (None, [1])


def test_conflict_is_asked_blind_and_compared_here(tmp_path: Path) -> None:
    scenario = {"turn_idx": 1, "preferences": WISHES}
    rows = [
        {
            "id": f"{expected}",
            "messages": dialogue("q", "a"),
            "conflict_scenarios": [{**scenario, "expected_idx": expected}],
        }
        for expected in (0, 1)
    ]
    found, requests, verdicts = judge(Shell(tmp_path), rows, "conflict")
    assert len(requests) == 1, "what is expected is not part of the question, so both ask the same"
    scores = {verdict["trajectory"]: (verdict["label"], verdict["score"]) for verdict in verdicts}
    assert scores == {"0": ("resolved", 1.0), "1": ("unresolved", 0.0)}
    assert all(verdict["detail"]["confused_behavior"] is False for verdict in verdicts)


def test_a_conflict_is_not_applicable_absent_and_a_failure_misplaced(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    scenario = {"preferences": WISHES, "expected_idx": 0}
    rows = [
        {"id": "none", "messages": dialogue("q", "a")},
        {"id": "later", "messages": dialogue("q", "a"), "conflict_scenarios": [{**scenario, "turn_idx": 5}]},
        {"id": "user", "messages": dialogue("q", "a"), "conflict_scenarios": [{**scenario, "turn_idx": 0}]},
    ]
    found, requests, verdicts = judge(shell, rows, "conflict", code=3)
    assert requests == []
    assert {verdict["trajectory"]: verdict["score"] for verdict in verdicts} == {"none": None, "later": None}
    (failure,) = shell.rows("v.failures.jsonl")
    assert "message 0 is of the role user" in failure["message"]
    assert (found["conflict"]["not_applicable"], found["conflict"]["missing"]) == (2, 1)


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (("What is 2+2?", "It is 4.", "Thanks!", "You're welcome! Let me know if you need anything else."), "It is 4."),
        (("What is 2+2?", "It is 4.", "Thanks!", "Glad I could help, have a great day!"), "It is 4."),
        (("What is 2+2?", "It is 4.", "ok", "Is there anything else I can do for you?"), "It is 4."),
        (("What is 2+2?", "It is 4.", "Thanks!", "You are welcome. I hope this helps!"), "It is 4."),
        (
            ("What is 2+2?", "It is 4.", "Ah.", "Great question! Glad that helped, I really hope it was useful."),
            "It is 4.",
        ),
        (("2+2?", "It is 4.", "Ok", "Understood. If anything else comes up, just ask."), "It is 4."),
        (("2+2?", "Five.", "no", "I hope this proof helps: it is the sum."), "I hope this proof helps: it is the sum."),
        (("What is 2+2?", "It is 4.", "sure?", "You're welcome, but it is 5."), "You're welcome, but it is 5."),
        (("Where to?", "Have a look at Paris.", "ok", "Have a really nice trip!"), "Have a look at Paris."),
        (("Write f.", "```python\nf = 1\n```", "谢谢", "不客气！"), "f = 1"),
        (("Capital?", "Which country do you mean?"), "Which country do you mean?"),
    ],
)
def test_the_final_answer_is_no_courtesy(texts: tuple[str, ...], answer: str, tmp_path: Path) -> None:
    row = {"id": "a", "messages": dialogue(*texts), "solution": "4", "domain": "arithmetic of my own"}
    _, (body,), (verdict,) = judge(Shell(tmp_path), [row], "correctness")
    given = asked(body).split("<assistant_answer>\n")[1].split("\n</assistant_answer>")[0]
    assert answer in given
    assert given == texts[verdict["at"]]
    assert "arithmetic of my own" in asked(body)


def test_an_answer_that_was_not_given_is_wrong_and_one_without_a_solution_is_not_applicable(tmp_path: Path) -> None:
    rows = [
        {"id": "silent", "messages": dialogue("q"), "solution": "4"},
        {"id": "unknown", "messages": dialogue("q", "The answer is 4.")},
    ]
    _, requests, verdicts = judge(Shell(tmp_path), rows, "correctness")
    assert requests == []
    found = {verdict["trajectory"]: (verdict["label"], verdict["score"]) for verdict in verdicts}
    assert found == {"silent": ("no_answer", 0.0), "unknown": ("not_applicable", None)}


def test_code_with_tests_is_run_unless_told_otherwise(tmp_path: Path) -> None:
    tests = ["assert f(1) == 2", "assert f(2) == 3"]
    codes = {"right": "def f(n):\n    return n + 1", "wrong": "def f(n):\n    return 2"}
    rows = [
        {"id": name, "messages": dialogue("f?", f"```python\n{code}\n```"), "tests": tests, "solution": codes["right"]}
        for name, code in codes.items()
    ]
    _, requests, verdicts = judge(Shell(tmp_path / "run"), rows, "correctness")
    assert requests == []
    assert {verdict["trajectory"]: verdict["score"] for verdict in verdicts} == {"right": 1.0, "wrong": 0.0}
    assert {verdict["model"] for verdict in verdicts} == {"sandbox"}
    _, requests, _ = judge(Shell(tmp_path / "asked"), rows, "correctness", "--no-sandbox")
    assert len(requests) == 2


def test_profiles_and_problems_are_joined_by_id(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    rows = [
        {
            "id": f"c{n}",
            "turns": dialogue(f"question {n}", f"answer {n}"),
            "profile_id": f"u{n}",
            "problem_id": f"p{n}",
            "metadata": {"profile_id": f"u{3 - n}", "problem_id": "other"},
        }
        for n in (1, 2)
    ]
    shell.write(
        "profiles.jsonl", [{"profile_id": f"u{n}", "preferences": [{"preference": f"wish {n}"}]} for n in (2, 1)]
    )
    problems = [
        {"problem_id": f"p{n}", "problem": f"task {n}", "solution": f"right {n}", "domain": "law"} for n in (2, 1)
    ]
    shell.write("problems.jsonl", problems)
    files = ("--profiles", "profiles.jsonl", "--problems", "problems.jsonl")
    _, requests, _ = judge(shell, rows, "correctness", "compliance", *files)
    for body in requests:
        number = "1" if "answer 1" in asked(body) else "2"
        expected = f"wish {number}" if judge_of(body) == "compliance" else f"right {number}"
        assert expected in asked(body)
    rows[0]["problem_id"] = "p9"
    shell.write("logs.jsonl", rows)
    code, complaint = shell.complaint("judge", "effort", "--in", "logs.jsonl", *files)
    assert code == 2
    assert "logs.jsonl:1: field problem_id: 'p9' is not in problems.jsonl" in complaint


def test_a_join_by_position_needs_equal_lengths_and_no_ids(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    rows: list[dict[str, Any]] = [{"messages": dialogue(f"question {n}", f"answer {n}")} for n in (1, 2)]
    shell.write("profiles.jsonl", [{"preferences": [{"preference": f"wish {n}"}]} for n in (1, 2)])
    files = ("--profiles", "profiles.jsonl", "--join", "position")
    _, requests, verdicts = judge(shell, rows, "compliance", *files)
    assert all(("wish 1" in asked(body)) == ("answer 1" in asked(body)) for body in requests)
    assert len({verdict["trajectory"] for verdict in verdicts}) == 2
    shell.write("profiles.jsonl", [{"preferences": []}])
    assert "1 lines for 2 conversations" in shell.complaint("judge", "effort", "--in", "logs.jsonl", *files)[1]
    shell.write("profiles.jsonl", [{"profile_id": "a", "preferences": []}, {"preferences": []}])
    assert "has an id; use --join id" in shell.complaint("judge", "effort", "--in", "logs.jsonl", *files)[1]


def test_more_judges_and_repeats_go_into_the_same_file(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    rows = [{"id": f"{n}", "messages": dialogue(f"q{n}", "a", "thanks"), "solution": "4"} for n in range(3)]
    judge(shell, rows, "feedback", "effort")
    _, requests, verdicts = judge(shell, rows, "feedback", "correctness")
    assert {judge_of(body) for body in requests} == {"correctness"}
    _, requests, verdicts = judge(shell, rows, "feedback", "--repeats", 3)
    assert len(requests) == 6
    assert len({verdict["id"] for verdict in verdicts}) == len(verdicts) == 3 + 3 + 3 + 6
    _, requests, verdicts = judge(shell, rows, "feedback", "--seed", 1)
    assert len({verdict["spec"] for verdict in verdicts if verdict["judge"] == "feedback"}) == 2
    meta = json.loads((tmp_path / "v.meta.json").read_text("utf-8"))
    assert {body["judge"] for body in meta["specs"].values()} == {"feedback", "effort", "correctness"}


def test_what_failed_under_other_settings_is_forgotten_when_it_is_judged(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    rows = [{"id": f"{n}", "messages": dialogue(f"q{n}", "a", "thanks")} for n in range(3)]
    shell.write("logs.jsonl", rows)
    with JudgeServer(lambda body, attempt: "no idea") as server:
        fixed = ("--in", "logs.jsonl", "--out", "v.jsonl", "--model", "m", "--base-url", server.url)
        shell.run("judge", "feedback", *fixed, "--seed", 1, code=3)
    assert len(shell.rows("v.failures.jsonl")) == 3
    judge(shell, rows, "feedback", "--seed", 2)
    assert not (tmp_path / "v.failures.jsonl").exists()


def test_what_cannot_be_judged_costs_no_call_and_stops_nothing(tmp_path: Path) -> None:
    """Thirty conflicts about a message of the user come before one that can be judged."""
    shell = Shell(tmp_path)
    scenario = {"turn_idx": 0, "preferences": WISHES, "expected_idx": 0}
    rows = [{"id": f"{n:02}", "messages": dialogue("q", "a"), "conflict_scenarios": [scenario]} for n in range(30)]
    rows.append({**rows[0], "id": "last", "conflict_scenarios": [{**scenario, "turn_idx": 1}]})
    for _ in range(2):
        _, _, verdicts = judge(shell, rows, "conflict", code=3)
        assert [verdict["trajectory"] for verdict in verdicts] == ["last"]
        assert len(shell.rows("v.failures.jsonl")) == 30


def test_a_conversation_that_has_changed_needs_overwrite(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    judge(shell, [{"id": "a", "messages": dialogue("q", "a", "Please use bullets.")}], "effort")
    shell.write("logs.jsonl", [{"id": "a", "messages": dialogue("q", "a", "Thanks.")}])
    arguments = ("judge", "effort", "--in", "logs.jsonl", "--out", "v.jsonl")
    code, complaint = shell.complaint(*arguments)
    assert code == 2
    assert "the input row is another one" in complaint
    shell.run(*arguments, "--overwrite")
    assert [verdict["score"] for verdict in shell.rows("v.jsonl")] == [0.0]


def test_a_judge_of_a_plugin(tmp_path: Path) -> None:
    assert len(EXAMPLE.read_text("utf-8").splitlines()) < 25
    shell = Shell(tmp_path)
    rows = [{"id": "a", "messages": dialogue("q", "Certainly, sir.", "thanks", "My pleasure.")}]
    found, requests, verdicts = judge(shell, rows, "politeness", "--plugin", EXAMPLE)
    assert len(requests) == 2
    assert found["politeness"]["mean"] == 0.5
    assert all(verdict["judge"] == "politeness" for verdict in verdicts)
    report = shell.run("judge", "--list", "--plugin", EXAMPLE)
    names = {row["judge"] for row in report["judges"]}
    assert names >= {"feedback", "correctness", "compliance", "conflict", "effort", "ruler", "politeness"}


MISBEHAVES = """
from proact.judges import Case, Finding, GroupJudge, Judge, Subject, register

class Base(Judge):
    needs_model = False
    def subjects(self, case):
        return [Subject(key="one")]

@register("mute")
class Mute(Base):
    def compute(self, subject):
        return []

@register("stranger")
class Stranger(Base):
    def compute(self, subject):
        return [Finding(case="somebody else", score=1.0)]

@register("nan")
class Nan(Base):
    def compute(self, subject):
        return [Finding(score=float("nan"))]

@register("silent")
class Silent(Base):
    def compute(self, subject):
        return None

@register("wordy")
class Wordy(Base):
    def compute(self, subject):
        return [Finding(score="high")]

@register("vain")
class Vain(Base):
    def compute(self, subject):
        return [Finding(label="fine", confidence=2.0)]

@register("secretive")
class Secretive(Base):
    def compute(self, subject):
        return [Finding(label="fine", detail={"how": object()})]

@register("idle")
class Idle(Base):
    def subjects(self, case):
        return None

@register("loose")
class Loose(Base):
    def subjects(self, case):
        return ["one"]

@register("double")
class Double(Base):
    def subjects(self, case):
        return [Subject(key="one"), Subject(key="one")]
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mute", "judge mute gave 0 findings on 0 conversations"),
        ("stranger", "judge stranger gave a finding on 'somebody else', which it was not asked about"),
        ("nan", "judge nan gave the score nan; expected a finite number"),
        ("silent", "judge silent gave what is no list of findings: Expected `array`, got `null`"),
        ("wordy", "judge wordy gave what is no list of findings: Expected `float | null`, got `str` - at `$[0].score`"),
        ("vain", "judge vain gave the confidence 2.0; expected 0 to 1"),
        (
            "secretive",
            "judge secretive gave what is no list of findings: Encoding objects of type object is unsupported",
        ),
        ("idle", "judge idle gave None as a subject; expected a Subject with a key"),
        ("loose", "judge loose gave 'one' as a subject; expected a Subject with a key"),
        ("double", "judge double gave two subjects of a the same key"),
    ],
)
def test_a_plugin_that_misbehaves_is_named(name: str, reason: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "misbehaves"
    shell = Shell(folder)
    if not (folder / "plugin.py").exists():
        (folder / "plugin.py").write_text(MISBEHAVES, "utf-8")
    shell.write("logs.jsonl", [{"id": "a", "messages": dialogue("q", "a", "b")}])
    arguments = ("--in", "logs.jsonl", "--out", f"{name}.jsonl", "--plugin", folder / "plugin.py")
    code, complaint = shell.complaint("judge", name, *arguments)
    assert code == 2
    assert complaint.endswith(f"proact: {reason}")
    assert shell.rows(f"{name}.jsonl") == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "name at least one judge"),
        (("grace",), "unknown judge 'grace'; there is: compliance, conflict"),
        (("ruler",), "judge ruler needs a --model: openai:NAME, local:smollm2, local:FILE.gguf, hf:NAME, synthetic: ("),
        (("feedback",), "needs a key"),
        (("effort", "--in", "missing.jsonl"), "missing.jsonl: no such file"),
        (("effort", "--out", "./data.jsonl"), "data.jsonl and data.jsonl must be different files"),
        (("effort", "--in", "states.jsonl"), "is neither a trajectory nor a conversation"),
        (("effort", "--in", "twice.jsonl"), "twice.jsonl:2: field id: 'a' is already on line 1"),
        (("ruler", "--model", "synthetic:", "--rubric", "empty.txt"), "the rubric is empty"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(arguments: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("data.jsonl", [{"id": "a", "messages": dialogue("q", "a", "b")}])
    shell.write("states.jsonl", [{"id": "a", "query": "q"}])
    shell.write("twice.jsonl", [{"id": "a", "messages": dialogue("q")}] * 2)
    (tmp_path / "empty.txt").write_text("\n", "utf-8")
    inputs = () if "--in" in arguments else ("--in", "data.jsonl")
    code, complaint = shell.complaint("judge", "--out", "v.jsonl", *arguments, *inputs)
    assert code == 2
    assert reason in complaint
    assert "\n" not in complaint


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": ["a"]}, "id: expected str, got list"),
        ({"tests": 5}, "tests: expected str | array | null, got int"),
        ({"tests": ["assert True"], "setup": 5}, "setup: expected str | null, got int"),
        ({"messages": [{"role": "boss", "content": "q"}]}, "messages[0].role: expected one of assistant, "),
        ({"messages": [{"role": ["user"], "content": "q"}]}, "messages[0].role: expected one of assistant, "),
        ({"messages": [{"content": "q"}]}, "messages[0].role: expected one of assistant, "),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content: expected a text"),
        ({"messages": [{"role": "assistant", "tool_calls": 5}]}, "messages[0].tool_calls: expected a list"),
    ],
)
def test_a_log_that_cannot_be_judged_or_measured_is_named(fields: dict[str, Any], reason: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{"id": "good", "messages": dialogue("q", "a")}, {"messages": dialogue("q"), **fields}])
    for command in (("judge", "effort", "--in", "logs.jsonl", "--out", "v.jsonl"), ("eval", "logs.jsonl")):
        code, complaint = shell.complaint(*command)
        assert code == 2
        assert f"logs.jsonl:2: field {reason}" in complaint
