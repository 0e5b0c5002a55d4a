"""The references of MBPP pass their tests through `proact reward`, and broken copies of them do not."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from rows import line, reward_rows
from support import Cli, Row, read_lines, succeeded, write_lines

import proact.source
from proact.sandbox import Limits

pytestmark = pytest.mark.shared


@pytest.fixture
def states(cli: Cli, shared: Path) -> list[Row]:
    succeeded(cli("convert", "mbpp", shared / "data/mbpp.jsonl", "--out", "states.jsonl"))
    return read_lines("states.jsonl")


def answered(states: list[Row], codes: dict[str, str]) -> None:
    rows = []
    for task in states:
        message = f"```python\n{codes[task['id']]}\n```"
        rows.append(line("mainline", [("Execute", message, {})], group=task["id"], state=task))
    write_lines("t.jsonl", rows)


def broken(source: str) -> str:
    """The same program, in which every function returns a fresh object that equals nothing."""
    tree = proact.source.tree(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name != "__init__":
            node.body = ast.parse("return object()").body
    return ast.unparse(tree)


def seconds(task: Row) -> float:
    """What the reference and its tests take by themselves."""
    source = "\n".join([task["setup"] or "", task["reference"], *task["tests"]])
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-c", source], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def test_every_reference_scores_one(cli: Cli, states: list[Row]) -> None:
    answered(states, {task["id"]: task["reference"] for task in states})
    rewards = reward_rows(cli)
    assert len(rewards) == 974
    wrong = {row["group"]: row["status"] for row in rewards.values() if row["task_score"] != 1.0}
    assert set(wrong.values()) <= {"timeout"}
    # One of them takes a good second of a fast processor; a slow one may take longer than there is.
    assert all(seconds(task) > Limits().cpu_seconds / 2 for task in states if task["id"] in wrong), wrong


def test_every_broken_copy_scores_nothing(cli: Cli, states: list[Row]) -> None:
    answered(states, {task["id"]: broken(task["reference"]) for task in states})
    rewards = reward_rows(cli)
    assert len(rewards) == 974
    scores = Counter(row["task_score"] for row in rewards.values())
    assert scores == {0.0: 974}, [name for name, row in rewards.items() if row["task_score"]][:20]
