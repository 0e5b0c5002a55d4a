"""Copies of a task's own tests with one assertion spoiled: whoever passes the real test must fail the copy."""

from __future__ import annotations

import ast
import copy
import secrets
from collections.abc import Iterator

from .split import Plan

OPPOSITES = {
    "assertEqual": "assertNotEqual",
    "assertTrue": "assertFalse",
    "assertFalse": "assertTrue",
    "assertIs": "assertIsNot",
    "assertIn": "assertNotIn",
    "assertIsNone": "assertIsNotNone",
    "assertAlmostEqual": "assertNotAlmostEqual",
    "assertListEqual": "assertNotEqual",
    "assertDictEqual": "assertNotEqual",
    "assertTupleEqual": "assertNotEqual",
}
COMPARES_LAST = ("assertEqual", "assertListEqual", "assertTupleEqual", "assertDictEqual")
Made = tuple[str, str, str]
MOST = 4


def spoiled(plan: Plan, randomly: secrets.SystemRandom) -> Iterator[tuple[Made, list[Made]]]:
    """For some tests: the test once more, and spoiled copies that must fail if it passes again.

    A test that does not pass twice depends on what ran before it, and says nothing about its copies.
    """
    defined = ast.parse(plan.steps[0].source).body if plan.steps and plan.steps[0].kind == "run" else []
    holders = {node.name: node for node in defined if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    tests = [at for at, step in enumerate(plan.steps) if step.is_test]
    for at in randomly.sample(tests, min(len(tests), MOST)):
        step = plan.steps[at]
        if step.kind == "run":
            before = "\n".join(earlier.source for earlier in plan.steps[:at])
            copies = [_text(body) for body in _spoil(ast.parse(step.source).body, randomly)]
            again: Made = ("", "run", f"{before}\n{step.source}")
            yield again, [("", "run", f"{before}\n{copied}") for copied in copies]
            continue
        holder_name, _, method = step.source.rpartition(".")
        holder = holders.get(holder_name or step.source)
        if isinstance(holder, ast.FunctionDef):
            yield ("", step.kind, step.source), list(_functions(holder, randomly))
        elif isinstance(holder, ast.ClassDef):
            yield ("", step.kind, step.source), list(_methods(holder, method, randomly))


def _functions(function: ast.FunctionDef, randomly: secrets.SystemRandom) -> Iterator[Made]:
    for body in _spoil(function.body, randomly):
        made = copy.copy(function)
        made.name, made.body = f"{function.name}_{secrets.token_hex(4)}", body
        yield _text([made]), "call", made.name


def _methods(holder: ast.ClassDef, name: str, randomly: secrets.SystemRandom) -> Iterator[Made]:
    """The class again under another name, with all that its tests need and one spoiled test."""
    others = [node for node in holder.body if not getattr(node, "name", "").startswith("test")]
    for method in (node for node in holder.body if isinstance(node, ast.FunctionDef) and node.name == name):
        for body in _spoil(method.body, randomly):
            changed = copy.copy(method)
            changed.body = body
            made = copy.copy(holder)
            made.name, made.body = f"{holder.name}{secrets.token_hex(4)}", [*others, changed]
            yield _text([made]), "method", f"{made.name}.{name}"


def _spoil(body: list[ast.stmt], randomly: secrets.SystemRandom) -> Iterator[list[ast.stmt]]:
    """Up to one random assertion of a body, turned round and with one leaf of its literal changed."""
    places = [at for at, statement in enumerate(body) if any(_variants(statement, randomly))]
    if places:
        at = randomly.choice(places)
        for statement in _variants(body[at], randomly):
            yield [*body[:at], statement]


def _variants(statement: ast.stmt, randomly: secrets.SystemRandom) -> Iterator[ast.stmt]:
    match statement:
        case ast.Assert(test=test):
            yield ast.Assert(ast.UnaryOp(ast.Not(), test))
            if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
                for changed in _changed(test.comparators[0], randomly):
                    yield ast.Assert(ast.Compare(test.left, test.ops, [changed]))
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner, attr=name), args=[*first, last], keywords=[])):
            if name in OPPOSITES:
                opposite = ast.Attribute(owner, OPPOSITES[name], ast.Load())
                yield ast.Expr(ast.Call(opposite, [*first, last], []))
            if name in COMPARES_LAST and len(first) == 1:
                for changed in _changed(last, randomly):
                    yield ast.Expr(ast.Call(ast.Attribute(owner, name, ast.Load()), [*first, changed], []))


def _changed(literal: ast.expr, randomly: secrets.SystemRandom) -> Iterator[ast.expr]:
    """A literal of the same shape with another value in one place; none for what is no literal."""
    made = copy.deepcopy(literal)
    leaves = [
        n for n in ast.walk(made) if isinstance(n, ast.Constant) and isinstance(n.value, bool | int | float | str)
    ]
    if leaves and _is_literal(made):
        leaf = randomly.choice(leaves)
        leaf.value = _other(leaf.value)
        yield made


def _is_literal(node: ast.expr) -> bool:
    """Sets and dicts are left alone: a changed leaf may fall together with another."""
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return False
    return not any(isinstance(inner, ast.Set | ast.Dict) for inner in ast.walk(node))


def _other(value: object) -> bool | int | float | str:
    match value:
        case bool():
            return not value
        case int():
            return value + 7919
        case float():
            return value * 3 + 11.5
        case _:
            return f"{value}~"


def _text(body: list[ast.stmt]) -> str:
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))
