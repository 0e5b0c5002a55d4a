"""MBPP (Austin et al. 2021, arXiv 2108.07732): the request as published names no function, so asking has a value.

Reads the original JSONL and the sanitized JSON. A user supplies the file; nothing of it ships with proact.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import orjson

from proact import jsonl
from proact.errors import InputError
from proact.records import Fact, State
from proact.source import tree

SPLITS = ((10, "prompt"), (510, "test"), (600, "validation"), (974, "train"))


class Task(msgspec.Struct):
    """One problem, in either of the published forms."""

    task_id: int
    code: str
    test_list: Annotated[list[str], msgspec.Meta(min_length=1)]
    text: str = ""
    prompt: str = ""
    test_setup_code: str = ""
    test_imports: list[str] = []


def states(path: Path) -> Iterator[State]:
    """The problems as states. Raises InputError naming the line (or the entry) that is no MBPP problem."""
    for number, fields in _entries(path):
        try:
            yield state(msgspec.convert(fields, Task))
        except (msgspec.ValidationError, SyntaxError, ValueError) as error:
            raise InputError(path, f"not an MBPP problem: {error}", line=number) from None


def state(task: Task) -> State:
    """A problem as a state: the text is the request; name, signature and examples are what the user can add.

    Raises SyntaxError for code or tests that are no Python, ValueError for tests that call nothing.
    """
    query = " ".join((task.text or task.prompt).split())
    name, parameters = signature(task)
    facts = [
        Fact(id="name", text=f"The function must be called {name}.", about="name of the function, called"),
        Fact(
            id="signature",
            text=f"It is called as {name}({', '.join(parameters)}).",
            about="signature, arguments, parameters, input, takes, order, types",
        ),
        Fact(id="example", text=_example(task.test_list[0]), about="example, output, return, result, expected, format"),
    ]
    if len(task.test_list) > 1:
        about = "edge cases, special cases, other, another, empty, negative"
        facts.append(Fact(id="edge", text=_example(task.test_list[-1]), about=about))
    said = set(re.findall(r"\w+", query))
    stated = {"name": name in said, "signature": said.issuperset(parameters)}
    open_facts = sum(not stated.get(fact.id, False) for fact in facts)
    return State(
        id=f"mbpp-{task.task_id}",
        domain="coding",
        query=query,
        # The request itself counts as one thing that is known.
        task_uncertainty=round(open_facts / (len(facts) + 1), 4),
        intent=" ".join([query, facts[1].text, facts[2].text]),
        facts=facts,
        tests=task.test_list,
        setup="\n".join([*task.test_imports, task.test_setup_code.replace("\r\n", "\n")]).strip() or None,
        reference=task.code.replace("\r\n", "\n"),
        split=next((name for last, name in SPLITS if task.task_id <= last), None),
        family=f"mbpp-{task.task_id}",
    )


def signature(task: Task) -> tuple[str, list[str]]:
    """The function that the tests call, and its parameters as the reference names them."""
    functions = {
        node.name: [argument.arg for argument in [*node.args.posonlyargs, *node.args.args]]
        for node in ast.walk(tree(task.code))
        if isinstance(node, ast.FunctionDef)
    }
    names = [
        node.func.id
        for node in ast.walk(tree(task.test_list[0]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    for name in names:
        if name in functions:
            return name, functions[name]
    if not names:
        raise ValueError("its first test calls no function")
    return names[0], []


def _example(test: str) -> str:
    body = tree(test.strip()).body
    if not body:
        raise ValueError("one of its tests is empty")
    node = body[0]
    compared = node.test if isinstance(node, ast.Assert) else None
    if isinstance(compared, ast.Compare) and len(compared.ops) == 1 and isinstance(compared.ops[0], ast.Eq):
        return f"For example, {ast.unparse(compared.left)} should give {ast.unparse(compared.comparators[0])}."
    return f"For example, this should hold: {ast.unparse(compared or node)}."


def _entries(path: Path) -> Iterator[tuple[int, Any]]:
    if not path.is_file():
        raise InputError(path, "no such file")
    with path.open("rb") as file:
        is_array = file.read(64).lstrip().startswith(b"[")
    if is_array:
        try:
            yield from enumerate(orjson.loads(path.read_bytes()), start=1)
        except orjson.JSONDecodeError as error:
            raise InputError(path, f"not valid JSON ({error.msg})", line=error.lineno) from None
    else:
        for line in jsonl.lines(path):
            yield line.number, jsonl.decode_object(line, path)
