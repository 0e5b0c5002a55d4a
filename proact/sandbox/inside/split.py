"""Turns a task's tests into steps, and decides by their shape where they run: in the judge, or in-process.

Only tests and setup are looked at, never a candidate: a candidate cannot choose the tier it is judged in.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from types import CodeType

from . import shape
from .checks import NOTHING, asserting, checks, idle
from .names import BUILTINS, Names

SPLIT, IN_PROCESS = "split", "in-process"
QUIET = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
CANDIDATE_MODULES = ("candidate", "solution", "__main__")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Step:
    """One statement of the tests; only those that are tests are counted."""

    source: str
    is_test: bool
    kind: str = "run"
    code: CodeType | None = None


@dataclass(frozen=True)
class Plan:
    """How one task's tests are run."""

    tier: str
    steps: tuple[Step, ...] = ()
    called: frozenset[str] = frozenset()
    fetched: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    restore: tuple[str, ...] = ()
    setup: CodeType | None = None
    track: bool = False
    error: str = ""
    reasons: tuple[str, ...] = field(default=())

    @property
    def count(self) -> int:
        """The number of tests."""
        return sum(step.is_test for step in self.steps)


@lru_cache(maxsize=512)
def plan(tests: tuple[str, ...], setup: str, *, in_process: bool = False) -> Plan:
    """The plan for a task; `error` says what is wrong with tests that cannot be run at all."""
    try:
        bodies = [ast.parse(test).body for test in tests]
        prepared = ast.parse(setup).body
        local_setup = _local_part(prepared)
        whole = [statement for body in bodies for statement in body]
        if absent := _absent(whole):
            return Plan(SPLIT, error=f"the tests need the module {absent}, which is not installed")
        known = asserting([*prepared, *whole])
        if _cases(whole):
            return _case_plan(whole, known)
        if len(tests) == 1 or any(_is_quiet(body) for body in bodies):
            expanded = list(_expand(whole, _foldable(whole), known))
            bodies = [[statement] for statement, _ in expanded]
            counted = [is_test for _, is_test in expanded]
        else:
            counted = [any(checks(statement, known) for statement in body) for body in bodies]
            if (compared := next((at for at, body in enumerate(bodies) if idle(body)), None)) is not None:
                return Plan(SPLIT, error=f"tests[{compared}] compares and asserts nothing")
        if not any(counted):
            return Plan(SPLIT, error=NOTHING)
        names = Names.of([statement for body in bodies for statement in body], local_setup)
        reasons = tuple(sorted(set(shape.reasons([s for body in bodies for s in body], names))))
        if in_process or reasons or not names.candidates:
            return _statement_plan(bodies, counted, names, reasons or ("asked for",))
        return _split_plan(bodies, counted, names, local_setup)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Plan(SPLIT, error=f"the tests cannot be run: {type(error).__name__}: {error}")


def _split_plan(bodies: list[list[ast.stmt]], counted: list[bool], names: Names, setup: list[ast.stmt]) -> Plan:
    steps = [Step(_source(body), is_test, code=_compiled(body)) for body, is_test in zip(bodies, counted, strict=True)]
    return Plan(
        SPLIT,
        tuple(steps),
        called=names.called,
        fetched=names.fetched,
        modules=names.modules,
        setup=_compiled(setup) if setup else None,
        track=shape.passes_variables([statement for body in bodies for statement in body], names),
    )


def _statement_plan(bodies: list[list[ast.stmt]], counted: list[bool], names: Names, reasons: tuple[str, ...]) -> Plan:
    steps = tuple(Step(_source(body), is_test) for body, is_test in zip(bodies, counted, strict=True))
    return Plan(IN_PROCESS, steps, restore=names.used_builtins, reasons=reasons)


def _case_plan(whole: list[ast.stmt], known: frozenset[str]) -> Plan:
    """unittest classes and test functions: one setup step that defines them, then one step per test."""
    if not any(name.startswith("test") for name in known):
        return Plan(SPLIT, error=NOTHING)
    kept = [statement for statement in whole if not _is_main_guard(statement) and not _runs_unittest(statement)]
    names = Names.of(kept, [])
    calls = [
        Step(name, True, "call")
        for name in (s.name for s in kept if isinstance(s, Function))
        if name.startswith("test")
    ]
    methods = [
        Step(f"{holder.name}.{method.name}", True, "method")
        for holder in kept
        if isinstance(holder, ast.ClassDef) and _holds_tests(holder)
        for method in holder.body
        if isinstance(method, Function) and method.name.startswith("test")
    ]
    define = Step(_source(kept), False)
    return Plan(IN_PROCESS, (define, *calls, *methods), restore=names.used_builtins, reasons=("test cases",))


def _absent(whole: list[ast.stmt]) -> str:
    """A module that the tests import and that is not there: that would be no fault of the candidate's."""
    imports = [alias.name for s in whole if isinstance(s, ast.Import) for alias in s.names]
    imports += [s.module for s in whole if isinstance(s, ast.ImportFrom) and s.module and not s.level]
    roots = {name.partition(".")[0] for name in imports} - set(CANDIDATE_MODULES)
    return next((root for root in sorted(roots) if find_spec(root) is None), "")


def _cases(whole: list[ast.stmt]) -> bool:
    return any(
        (isinstance(s, Function) and s.name.startswith("test") and not _called_at_top(whole, s.name))
        or (isinstance(s, ast.ClassDef) and _holds_tests(s))
        for s in whole
    )


def _called_at_top(whole: list[ast.stmt], name: str) -> bool:
    return any(
        isinstance(s, ast.Expr) and isinstance(s.value, ast.Call) and getattr(s.value.func, "id", "") == name
        for s in whole
    )


def _holds_tests(holder: ast.ClassDef) -> bool:
    named = any(ast.unparse(base).endswith("TestCase") for base in holder.bases) or holder.name.startswith("Test")
    return named and any(isinstance(m, Function) and m.name.startswith("test") for m in holder.body)


def _is_main_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'"


def _runs_unittest(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and ast.unparse(statement).startswith(("unittest.main(", "pytest.main("))


def _is_quiet(body: list[ast.stmt]) -> bool:
    return all(isinstance(statement, QUIET) for statement in body)


def _foldable(whole: list[ast.stmt]) -> dict[str, ast.FunctionDef]:
    """Functions like HumanEval's `check`, whose asserts can stand at the top, each a test of its own."""
    outer = {
        node.id for s in whole if not isinstance(s, Function) for node in ast.walk(s) if isinstance(node, ast.Name)
    }
    found = {}
    for function in whole:
        if not isinstance(function, ast.FunctionDef) or function.decorator_list or not _asserts(function):
            continue
        inner = list(ast.walk(function))
        bound = {n.id for n in inner if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        odd = any(isinstance(n, ast.Return | ast.Yield | ast.YieldFrom | ast.Global | ast.Nonlocal) for n in inner)
        plain = not (function.args.defaults or function.args.vararg or function.args.kwarg or function.args.kwonlyargs)
        nested = any(isinstance(n, Function | ast.ClassDef | ast.Lambda) for n in inner if n is not function)
        if plain and not odd and not nested and not bound & outer:
            found[function.name] = function
    return found


def _expand(
    whole: list[ast.stmt], folded: dict[str, ast.FunctionDef], known: frozenset[str]
) -> Iterable[tuple[ast.stmt, bool]]:
    """The statements of a single source, and which of them are tests: those that assert, here or in what they call."""
    for statement in whole:
        match statement:
            case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=values, keywords=[])) if name in folded and len(
                values
            ) == len(folded[name].args.args):
                for parameter, value in zip(folded[name].args.args, values, strict=True):
                    target = ast.Name(parameter.arg, ast.Store())
                    yield ast.fix_missing_locations(ast.Assign([target], value, lineno=1)), False
                yield from ((inner, checks(inner, known)) for inner in folded[name].body)
            case ast.If(body=body) if _is_main_guard(statement):
                yield from _expand(body, folded, known)
            case _:
                yield statement, checks(statement, known)


def _asserts(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(statement))


def _local_part(setup: list[ast.stmt]) -> list[ast.stmt]:
    """The part of a setup that the judge can run itself; what it leaves out is made on the candidate's side alone."""
    local: list[ast.stmt] = []
    for statement in setup:
        names = Names.of([statement], local)
        if not isinstance(statement, ast.ClassDef) and not names.candidates - BUILTINS:
            local.append(statement)
    return local


def imported(setup: str) -> str:
    """What a setup imports from elsewhere than the candidate, as a program."""
    return _source([statement for statement in ast.parse(setup).body if _from_elsewhere(statement)])


def _from_elsewhere(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return statement.module not in CANDIDATE_MODULES
    return isinstance(statement, ast.Import)


def _source(body: list[ast.stmt]) -> str:
    return ast.unparse(ast.Module(body, []))


def _compiled(body: list[ast.stmt]) -> CodeType:
    return compile(ast.Module(body, []), "<tests>", "exec", dont_inherit=True)
