"""Coding: the answer is a Python program, and its score is the share of the tests that pass."""

from __future__ import annotations

import ast
import builtins
import re
from functools import lru_cache
from itertools import islice
from textwrap import dedent

from proact.domains.base import NO_ANSWER, NOT_APPLICABLE, Domain, Score, register
from proact.errors import SandboxError
from proact.records import State
from proact.sandbox.program import Program, Result
from proact.source import defined, parsed

_OPENS = re.compile(r"[ \t]*(?P<fence>```+|~~~+)[ \t]*(?P<language>[\w+-]*)[^`\n]*")
_DEFINES = re.compile(r"(?:async )?def \w+\s*\(|class \w+|import \w|from \S+ import |@\w")
_ASSIGNS = re.compile(r"[A-Za-z_]\w*+(?:\s*+:\s*+[\w.\[\],|][\w.\[\], |]*+)?\s*+=[^=]")
_PYTHON = {"", "python", "py", "python3"}
CLOSINGS = 8
"""Fences that are tried as the end of one block."""
_BUILTINS = frozenset(dir(builtins))


@register("coding")
class Coding(Domain):
    """Runs the state's tests against the code of the message."""

    def applies(self, state: State) -> bool:
        return bool(state.tests)

    def program(self, state: State, message: str) -> Program | None:
        if not state.tests:
            return None
        tests = (state.tests,) if isinstance(state.tests, str) else tuple(state.tests)
        return Program(id=state.id, code=extract(message, tests), tests=tests, setup=state.setup or "")

    def score(self, state: State, message: str, result: Result | None) -> Score:
        if result is None:
            return NOT_APPLICABLE
        if result.status == "no_answer":
            return NO_ANSWER
        if result.status == "infra":
            raise SandboxError(f"the sandbox could not run the tests: {result.message}")
        share = sum(result.passed) / len(result.passed) if result.passed else float(result.status == "pass")
        value = 0.0 if result.status in ("tampered", "suspect") else share
        passed, layers = list(result.passed), list(result.layers)
        return Score(value=value, status=result.status, tests=passed, tier=result.tier, layers=layers)


@lru_cache(1024)
def extract(message: str, tests: tuple[str, ...]) -> str | None:
    """The program of a message, found by parsing: the block that defines what the tests call, else the longest
    that compiles, else the longest; None when the message holds no code. Replicates and branches say much the same."""
    blocks = [block for block in _fenced(message) if block.strip()] or _unfenced(message)
    if not blocks:
        return None
    wanted = called("\n".join(tests))
    trees = [(block, parsed(block)) for block in blocks]
    compiling = [(block, tree) for block, tree in trees if tree is not None]
    if not compiling:
        return max(blocks, key=len)
    block, tree = max(compiling, key=lambda pair: len(wanted & defined(pair[1])))
    if not wanted & defined(tree):
        return max((block for block, _ in compiling), key=len)
    return block


def called(tests: str) -> set[str]:
    """The names that the tests call and do not define themselves, builtins apart."""
    tree = parsed(tests)
    if tree is None:
        return set()
    names = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return names - defined(tree) - _BUILTINS


def _fenced(message: str) -> list[str]:
    """The Python blocks of a message. A docstring may hold fences of its own, so a block ends at the first fence that
    leaves something that compiles, else at the first one."""
    blocks, rows, at = [], message.split("\n"), 0
    while at < len(rows):
        opened = _OPENS.fullmatch(rows[at])
        at += 1
        if not opened:
            continue
        closing = re.compile(rf"[ \t]*{opened['fence']}[`~]*\s*")
        ends = islice((i for i in range(at, len(rows)) if closing.fullmatch(rows[i])), CLOSINGS)
        found = [(end, _block(rows[at:end])) for end in ends] or [(len(rows), _block(rows[at:]))]
        end, body = found[0]
        if opened["language"].lower() in _PYTHON:
            end, body = next(((end, body) for end, body in found if parsed(body)), found[0])
            blocks.append(body)
        at = end + 1
    return blocks


def _block(rows: list[str]) -> str:
    # A fence inside a list item is indented, and its code with it.
    text = "\n".join(rows)
    return dedent(text) if parsed(text) is None else text


def _unfenced(message: str) -> list[str]:
    # A model that writes no fence: code starts at the first line that can only be Python, or at an assignment before it
    # from which all that is between compiles, and ends where it stops compiling.
    lines = message.splitlines()
    starts = [i for i, line in enumerate(lines) if _DEFINES.match(line)]
    assigned = [i for i, line in enumerate(lines[: starts[0] if starts else None]) if _ASSIGNS.match(line)]
    for start in [*assigned[:CLOSINGS], *starts[:1]]:
        for end in range(len(lines), starts[0] if starts else start, -1):
            text = "\n".join(lines[start:end])
            if parsed(text) is not None:
                return [text]
    return ["\n".join(lines[starts[0] :])] if starts else []
