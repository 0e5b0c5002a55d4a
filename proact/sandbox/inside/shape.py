"""The shapes of tests that cannot be split from the candidate, because they see or change more than values."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .names import BUILTINS, Names
from .tree import nodes
from .words import words

MODULES = words(
    "unittest pytest mock io os tempfile subprocess threading asyncio inspect shutil pathlib socket "
    "logging warnings importlib builtins gc multiprocessing signal weakref pickle doctest glob time "
    "candidate solution __main__"
)
REFUSED_NAMES = words(
    "open input exec eval globals locals vars setattr delattr redirect_stdout patch capsys monkeypatch"
)
REFUSED_ATTRIBUTES = words("stdout stdin stderr argv seed environ setrecursionlimit redirect_stdout")
DATA_TYPES = words(
    "int float str bool bytes bytearray list tuple set frozenset dict complex range object type Exception"
)
COMMON = (ast.Constant, ast.Name, ast.Load, ast.Store, ast.Assert, ast.Eq, ast.List, ast.Tuple, ast.UnaryOp, ast.USub)
ASKS_KIND = frozenset(("isinstance", "issubclass", "type", "callable"))


def reasons(statements: list[ast.stmt], names: Names) -> Iterator[str]:
    """Why these tests must run in the candidate's process; none when they can be split."""
    every = nodes(statements)
    local_code = frozenset(n.name for n in every if isinstance(n, ast.FunctionDef | ast.ClassDef))
    yield from (f"uses {name}" for name in names.loaded & REFUSED_NAMES)
    passes_code = local_code or any(isinstance(node, ast.Lambda) for node in every)
    for node in every:
        if passes_code and isinstance(node, ast.Call) and _may_be_remote(node, names, local_code):
            yield from ["passes code to the candidate"] if _passes_code(node, local_code) else []
        if type(node) not in COMMON and (reason := _reason(node, names)):
            yield reason


def passes_variables(statements: list[ast.stmt], names: Names) -> bool:
    """Whether a test could see that the candidate changed an argument in place."""
    return bool(names.bound) and any(
        isinstance(inner, ast.Name) and inner.id not in names.candidates
        for node in nodes(statements)
        if isinstance(node, ast.Call) and _may_be_remote(node, names, frozenset())
        for argument in (*node.args, *(keyword.value for keyword in node.keywords))
        for inner in nodes([argument])
    )


def _reason(node: ast.AST, names: Names) -> str:
    match node:
        case ast.Import(names=aliases) if any(a.name.partition(".")[0] in MODULES for a in aliases):
            return "imports a module that acts on the process"
        case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in MODULES:
            return "imports a module that acts on the process"
        case ast.Attribute(attr=name) if name in REFUSED_ATTRIBUTES or name.startswith("__"):
            return f"uses .{name}"
        case ast.Call(func=ast.Name(id=name)) if name in ASKS_KIND and _asks_foreign_kind(node):
            return f"asks {name} about something that is no data type"
        case ast.Compare(left=left, ops=ops, comparators=others) if _compares_identity([left, *others], ops):
            return "compares identity or types"
        case ast.ExceptHandler(type=ast.expr() as kind) if _holds(kind, names.candidates):
            return "catches the candidate's exception"
        case ast.ClassDef(bases=bases, decorator_list=marks) if any(_holds(b, names.candidates) for b in bases + marks):
            return "derives from the candidate's class"
        case ast.FunctionDef(decorator_list=marks) if any(_holds(mark, names.candidates) for mark in marks):
            return "decorates with the candidate's function"
        case ast.With(items=items) if any(_holds(item.context_expr, names.candidates) for item in items):
            return "enters the candidate's context"
        case ast.Call(func=ast.Name(id="hasattr" | "getattr"), args=[_, ast.Constant(value=str(text)), *_]) if (
            text.startswith("__")
        ):
            return "names a special attribute"
        case ast.Await() | ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith():
            return "is asynchronous"
        case ast.Raise(exc=ast.expr() as error) if _holds(error, names.candidates):
            return "raises the candidate's exception"
    return ""


def _asks_foreign_kind(call: ast.Call) -> bool:
    if getattr(call.func, "id", "") == "callable":
        return True
    kinds = call.args[1:] if len(call.args) > 1 else []
    return any(isinstance(n, ast.Name | ast.Attribute) and _foreign(n) for kind in kinds for n in ast.walk(kind))


def _foreign(node: ast.Name | ast.Attribute) -> bool:
    return isinstance(node, ast.Attribute) or node.id not in DATA_TYPES


def _compares_identity(sides: list[ast.expr], operators: list[ast.cmpop]) -> bool:
    if any(isinstance(operator, ast.Is | ast.IsNot) for operator in operators):
        return not any(isinstance(side, ast.Constant) for side in sides) and not _typed(sides)
    asks = any(isinstance(s, ast.Call) and getattr(s.func, "id", "") == "type" for s in sides)
    return asks and not _typed(sides)


def _typed(sides: list[ast.expr]) -> bool:
    """`type(x) == int` and the like: data types are the same on both sides of the split."""
    calls = [s for s in sides if isinstance(s, ast.Call) and getattr(s.func, "id", "") == "type"]
    plain = [s for s in sides if isinstance(s, ast.Name) and s.id in DATA_TYPES]
    return bool(calls) and len(calls) + len(plain) == len(sides)


def _may_be_remote(call: ast.Call, names: Names, local_code: frozenset[str]) -> bool:
    func = call.func
    if isinstance(func, ast.Name):
        return func.id in names.called or not (func.id in BUILTINS or func.id in local_code)
    root: ast.expr = func
    while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
        root = root.func if isinstance(root, ast.Call) else root.value
    return isinstance(root, ast.Name) and (root.id in names.candidates or root.id not in names.modules)


def _passes_code(call: ast.Call, local_code: frozenset[str]) -> bool:
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(
        isinstance(node, ast.Lambda) or (isinstance(node, ast.Name) and node.id in local_code)
        for argument in arguments
        for node in nodes([argument])
    )


def _holds(expression: ast.expr, names: frozenset[str]) -> bool:
    return any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(expression))
