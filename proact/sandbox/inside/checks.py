"""Whether tests check anything: what asserts nothing passes whatever the candidate does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

NOTHING = "the tests check nothing: no assert in them is ever run"
_SAYS = re.compile(r"assert|(?:raises|warns|fail|exit|exec)$")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def checks(statement: ast.AST, asserting: frozenset[str]) -> bool:
    """Whether a statement asserts something when it is run, itself or in one of the functions that do."""
    return any(_says(node, asserting) for node in _run(statement))


def asserting(statements: Iterable[ast.stmt]) -> frozenset[str]:
    """The names of the functions that assert when they are called, be it in others."""
    nodes = [node for statement in statements for node in ast.walk(statement)]
    functions = [node for node in nodes if isinstance(node, _Function)]
    found: frozenset[str] = frozenset()
    while more := {f.name for f in functions if f.name not in found and any(checks(s, found) for s in f.body)}:
        found |= more
    return found


def idle(body: list[ast.stmt]) -> bool:
    """Whether a test compares and then does nothing with what it finds."""
    return bool(body) and all(isinstance(s, ast.Expr) and isinstance(s.value, ast.Compare) for s in body)


def _says(node: ast.AST, asserting: frozenset[str]) -> bool:
    match node:
        case ast.Assert() | ast.Raise():
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in asserting or bool(_SAYS.match(name))
    return False


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """A statement and all in it that runs with it: no function that it only defines, no branch that is never taken."""
    if isinstance(node, _Function | ast.ClassDef | ast.Lambda):
        return
    yield node
    never = isinstance(node, ast.If | ast.While) and isinstance(node.test, ast.Constant) and not node.test.value
    for child in node.orelse if never else ast.iter_child_nodes(node):  # type: ignore[attr-defined]
        yield from _run(child)
