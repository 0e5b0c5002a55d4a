"""Public data sets as states."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import Cli, Row, read_lines, succeeded, write_lines

PROBLEM = {
    "task_id": 11,
    "text": "Write a function to  double\na number.",
    "code": "def other(x):\r\n    return x\r\ndef twice(number, times):\r\n    return other(number) * times",
    "test_list": ["assert twice(2, times=2) == 4", "assert twice(0, 2) == 0", "assert twice(-1, 2) == -2"],
    "test_setup_code": "",
    "challenge_test_list": [],
}


def converted(cli: Cli, source: Path) -> list[Row]:
    succeeded(cli("convert", "mbpp", source))
    return read_lines("data/seeds/mbpp_states.jsonl")


def test_a_problem_becomes_a_state(cli: Cli) -> None:
    (found,) = converted(cli, write_lines("mbpp.jsonl", [PROBLEM]))
    assert (found["id"], found["domain"], found["split"], found["family"]) == ("mbpp-11", "coding", "test", "mbpp-11")
    assert found["query"] == "Write a function to double a number."
    assert found["tests"] == PROBLEM["test_list"]
    assert found["reference"].startswith("def other(x):\n")
    facts = {fact["id"]: fact["text"] for fact in found["facts"]}
    assert facts == {
        "name": "The function must be called twice.",
        "signature": "It is called as twice(number, times).",
        "example": "For example, twice(2, times=2) should give 4.",
        "edge": "For example, twice(-1, 2) should give -2.",
    }
    assert facts["signature"] in found["intent"]
    assert facts["example"] in found["intent"]
    assert "setup" not in found or found["setup"] is None


def test_setup_and_imports_run_before_the_tests(cli: Cli) -> None:
    imports = {"test_imports": ["import math"], "test_setup_code": "root = math.sqrt(4)"}
    (found,) = converted(cli, write_lines("mbpp.jsonl", [{**PROBLEM, **imports}]))
    assert found["setup"] == "import math\nroot = math.sqrt(4)"


@pytest.mark.parametrize(("task", "split"), [(1, "prompt"), (10, "prompt"), (510, "test"), (511, "validation")])
def test_the_published_splits(cli: Cli, task: int, split: str) -> None:
    (found,) = converted(cli, write_lines("mbpp.jsonl", [{**PROBLEM, "task_id": task}]))
    assert found["split"] == split


def test_a_line_that_is_no_problem_is_named_and_nothing_is_written(cli: Cli) -> None:
    target = Path("data/seeds/mbpp_states.jsonl")
    target.parent.mkdir(parents=True)
    target.write_text("old\n")
    bad = {key: value for key, value in PROBLEM.items() if key != "test_list"}
    ran = cli("convert", "mbpp", write_lines("mbpp.jsonl", [PROBLEM, bad]))
    assert (ran.code, "mbpp.jsonl:2: not an MBPP problem" in ran.err) == (2, True)
    assert target.read_text() == "old\n"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"test_list": []}, "Expected `array` of length >= 1 - at `$.test_list`"),
        ({"test_list": ["assert True"]}, "its first test calls no function"),
        ({"test_list": ["twice(1, 1)", " "]}, "one of its tests is empty"),
        ({"code": "def twice(x) return x"}, "expected ':'"),
        ({"test_list": ["assert twice(2"]}, "was never closed"),
    ],
)
def test_what_is_wrong_with_a_problem_is_said_in_a_line(cli: Cli, fields: Row, message: str) -> None:
    ran = cli("convert", "mbpp", write_lines("mbpp.jsonl", [PROBLEM, {**PROBLEM, **fields}]))
    assert (ran.code, message in ran.err, "Traceback" in ran.err) == (2, True, False), ran.err
    assert ran.err.startswith("proact: mbpp.jsonl:2: not an MBPP problem: ")
    assert not Path("data/seeds/mbpp_states.jsonl").exists()


def test_a_problem_beyond_the_published_ones_has_no_split(cli: Cli) -> None:
    (found,) = converted(cli, write_lines("mbpp.jsonl", [{**PROBLEM, "task_id": 975}]))
    assert found.get("split") is None


def test_an_unknown_data_set_names_the_known_ones(cli: Cli) -> None:
    ran = cli("convert", "void", "x.jsonl")
    assert (ran.code, "unknown data set 'void'; there is: mbpp" in ran.err) == (2, True)
    ran = cli("convert", "mbpp", "x.jsonl")
    assert (ran.code, "x.jsonl: no such file" in ran.err) == (2, True)


@pytest.mark.shared
def test_mbpp_as_published_gives_974_states(cli: Cli, shared: Path) -> None:
    rows = converted(cli, shared / "data/mbpp.jsonl")
    assert len(rows) == len({row["id"] for row in rows}) == 974
    by_id = {row["id"]: row for row in rows}
    assert "root.left = Node(2)" in by_id["mbpp-367"]["setup"]
    assert "Node(" in by_id["mbpp-927"]["setup"]
    assert sum(row["setup"] is not None for row in rows if "setup" in row) == 2
    assert all(len(row["facts"]) >= 3 and row["reference"] and row["tests"] for row in rows)
    assert {row["split"] for row in rows} == {"prompt", "test", "validation", "train"}
    assert [row["split"] for row in rows].count("test") == 500
    assert all(row["facts"][0]["text"].split()[-1].rstrip(".") in json.dumps(row["tests"]) for row in rows)
    succeeded(cli("validate", "data/seeds/mbpp_states.jsonl"))


@pytest.mark.shared
def test_sanitized_mbpp_gives_427_states(cli: Cli, shared: Path) -> None:
    rows = converted(cli, shared / "data/sanitized-mbpp.json")
    assert len(rows) == 427
    assert all(row["query"] and row["tests"] for row in rows)
    assert sum(bool(row.get("setup")) for row in rows) > 0
