"""IN3 (Qian et al. 2024, arXiv 2402.09205): everyday tasks, vague or clear, with the details that a vague one lacks.

The data set lists what a user might answer and not what this user would: one option of each detail is drawn by a hash
of the task, told when asked for, and expected in the plan. Apache-2.0; a user supplies the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from proact import jsonl
from proact.errors import InputError
from proact.keys import digest, digest64
from proact.records import ChecklistItem, Fact, State


class Detail(msgspec.Struct):
    """Something that a vague task leaves open; importance is 1 to 3."""

    description: str
    importance: Literal["1", "2", "3"] | Literal[1, 2, 3]
    inquiry: str
    options: list[str]


class Task(msgspec.Struct):
    """One line of the file."""

    task: str
    vague: bool
    category: str = ""
    missing_details: list[Detail] = []


def states(path: Path) -> Iterator[State]:
    """One state for each task. Raises InputError naming the line that is none."""
    for line in jsonl.lines(path):
        try:
            task = msgspec.convert(jsonl.decode_object(line, path), Task)
        except msgspec.ValidationError as error:
            raise InputError(path, f"not an IN3 task: {error}", line=line.number) from None
        yield _state(task, path)


def _state(task: Task, path: Path) -> State:
    name = f"in3-{digest(task.task)}"
    details = [detail for detail in task.missing_details if detail.options]
    wanted = [detail.options[digest64(f"{task.task}\0{detail.inquiry}") % len(detail.options)] for detail in details]
    facts, checklist = [], []
    for number, (detail, option) in enumerate(zip(details, wanted, strict=True), start=1):
        text = f"{detail.description}: {option}."
        facts.append(Fact(id=f"detail-{number}", text=text, about=f"{detail.description} {detail.inquiry}"))
        checklist.append(ChecklistItem(id=f"detail-{number}", text=option))
    return State(
        id=name,
        domain="planning",
        query=task.task,
        # The request itself counts as one thing that is known.
        task_uncertainty=round(len(facts) / (len(facts) + 1), 4),
        intent=" ".join([task.task, *(fact.text for fact in facts)]) if facts else None,
        facts=facts,
        checklist=list(checklist) or None,
        split="train" if "train" in path.name.lower() else "test",
        family=name,
        metadata={
            "category": task.category,
            "importance": [int(detail.importance) for detail in details],
            "should": "Clarify" if task.vague else "Execute",
        },
    )
