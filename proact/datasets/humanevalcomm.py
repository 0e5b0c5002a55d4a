"""HumanEvalComm (Wu and Fard 2024, arXiv 2406.00215): problems of HumanEval, and variants that lack something.

Originals should be answered at once, variants asked about: they are ambiguous (a), inconsistent (c), incomplete (p), or
two of these. The thirteen variants with three are left out, which leaves the 762 of the paper. The data set has no
licence file of its own (HumanEval is MIT): a user supplies the file, and nothing of it ships with proact.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Any

import msgspec

from proact import jsonl
from proact.errors import InputError
from proact.records import Fact, State
from proact.sandbox import Program, Sandbox
from proact.source import parsed, tree

VARIANTS = ("1a", "1c", "1p", "2ac", "2ap", "2cp")
KINDS = {"a": "ambiguous", "c": "inconsistent", "p": "incomplete"}
RENAMED = "candidate"
UNCERTAINTY = {0: 0.0, 1: 0.5, 2: 0.75}
"""By the number of things that are wrong with a request; a convention, not a measurement."""
REQUEST = "Write this Python function:\n\n"


class Case(msgspec.Struct):
    """One test: the arguments, what must come out (a string stands without quotes), or a relation instead."""

    input: Any
    output: Any
    relation: str = "=="


class Problem(msgspec.Struct):
    """One line of the file; the variants are in its further fields."""

    name: str
    entry_point: str
    prompt: str
    solution: str
    test_case: Annotated[list[Case], msgspec.Meta(min_length=1)]


def states(path: Path) -> Iterator[State]:
    """The original and the variants of each problem. References run in the sandbox, to see which outputs are strings.

    Raises InputError naming the line that is no problem, or one whose reference fails its tests.
    """
    with Sandbox() as sandbox:
        for line in jsonl.lines(path):
            fields = jsonl.decode_object(line, path)
            try:
                problem = msgspec.convert(fields, Problem)
                prompts = {variant: _prompt(fields, variant) for variant in VARIANTS}
                _check(problem)
                tests = _settled(problem, sandbox)
            except msgspec.ValidationError as error:
                raise InputError(path, f"not a HumanEvalComm problem: {error}", line=line.number) from None
            except _Unusable as error:
                raise InputError(path, str(error), line=line.number, field=error.field) from None
            yield _state(problem, problem.prompt, "", tests)
            yield from (_state(problem, prompt, variant, tests) for variant, prompt in prompts.items() if prompt)


class _Unusable(ValueError):
    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def _prompt(fields: dict[str, Any], variant: str) -> str | None:
    prompt = fields.get(name := f"prompt{variant}")
    if not isinstance(prompt, str | None):
        raise _Unusable(f"expected a text, got {type(prompt).__name__}", name)
    return prompt


def _check(problem: Problem) -> None:
    """Raises _Unusable for what is no function of that name, or no test."""
    if not problem.entry_point.isidentifier() or iskeyword(problem.entry_point):
        raise _Unusable("expected the name of a function", "entry_point")
    module = parsed(problem.solution)
    if module is None:
        raise _Unusable(f"the reference of {problem.name} is no Python", "solution")
    if problem.entry_point not in _functions(module):
        raise _Unusable(f"the reference of {problem.name} defines no function {problem.entry_point}", "solution")
    for index, case in enumerate(problem.test_case):
        test = parsed(_test(case, quoted=False))
        if test is None or len(test.body) != 1:
            raise _Unusable("input, output and relation make no test", f"test_case[{index}]")


def _settled(problem: Problem, sandbox: Sandbox) -> list[str]:
    """The tests that the reference passes: an output that it does not return as a literal is meant as a string."""
    literal = [_test(case, quoted=False) for case in problem.test_case]
    quoted = [_test(case, quoted=True) for case in problem.test_case]
    setup = _setup(problem)

    def passed(tests: list[str]) -> tuple[bool, ...]:
        program = Program(id=problem.name, code=problem.solution, tests=_named(tests, problem.entry_point), setup=setup)
        result = sandbox.run(program)
        if result.status == "infra":
            raise _Unusable(f"the reference of {problem.name} could not be run: {result.message}", "solution")
        return result.passed

    mixed = [one if right else two for one, two, right in zip(literal, quoted, passed(literal), strict=True)]
    if not all(passed(mixed)):
        raise _Unusable(f"the reference of {problem.name} fails its tests", "solution")
    return mixed


def _test(case: Case, *, quoted: bool) -> str:
    """A test of the function `candidate`."""
    if "$input$" in case.relation:
        # Problem 32 prints this relation of a module of its own; poly comes with the setup.
        return f"assert abs(poly({case.input}, {RENAMED}({case.input}))) < 1e-4"
    if case.relation != "==":
        return f"assert {case.relation}"
    output = repr(str(case.output)) if quoted or not _is_literal(case.output) else case.output
    return f"assert {RENAMED}({case.input}) == {output}"


def _is_literal(output: Any) -> bool:
    try:
        ast.literal_eval(str(output))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _state(problem: Problem, prompt: str, variant: str, tests: list[str]) -> State:
    renamed = bool(re.search(rf"\bdef {RENAMED}\(", prompt))
    name = RENAMED if renamed else problem.entry_point
    wrong = [KINDS[letter] for letter in variant if letter in KINDS]
    return State(
        id=f"{problem.name}/{variant}" if variant else problem.name,
        domain="coding",
        query=REQUEST + prompt.strip("\n"),
        task_uncertainty=UNCERTAINTY[len(wrong)],
        intent=REQUEST + _renamed(problem.prompt, problem.entry_point, name).strip("\n"),
        facts=_facts(problem, name),
        tests=list(_named(tests, name)),
        setup=_setup(problem) or None,
        reference=_renamed(problem.solution, problem.entry_point, name),
        split="test",
        family=problem.name,
        metadata={"wrong": wrong, "should": "Clarify" if variant else "Execute"},
    )


def _named(tests: list[str], name: str) -> tuple[str, ...]:
    return tuple(_renamed(test, RENAMED, name) for test in tests)


def _renamed(source: str, old: str, new: str) -> str:
    return re.sub(rf"\b{old}\b(?=\s*\()", new, source)


def _facts(problem: Problem, name: str) -> list[Fact]:
    """The signature, what the original says, and its examples."""
    function = _functions(tree(problem.solution))[problem.entry_point]
    said = _renamed(ast.get_docstring(function) or "", problem.entry_point, name)
    before, mark, examples = said.partition(">>>")
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    facts = [
        Fact(
            id="signature",
            text=f"It is {name}({ast.unparse(function.args)}){returns}.",
            about="name signature arguments parameters input types called",
        ),
        Fact(id="purpose", text=before.strip(), about="what return result compute meaning rule condition exactly"),
    ]
    if mark:
        about = "example sample input output expected edge case"
        facts.append(Fact(id="example", text=f"For example:\n{mark}{examples}".strip(), about=about))
    return [fact for fact in facts if fact.text]


def _functions(module: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in reversed(module.body) if isinstance(node, ast.FunctionDef)}


def _setup(problem: Problem) -> str:
    """The imports and helpers that the prompt gives: for an answer that leaves them out, and poly for the tests."""
    parts = []
    for node in tree(problem.solution).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            parts.append(ast.unparse(node))
        elif isinstance(node, ast.FunctionDef) and node.name != problem.entry_point:
            helper = ast.unparse(node)
            indented = "\n".join(f"    {line}" for line in helper.splitlines())
            guarded = f"try:\n    {node.name}\nexcept NameError:\n{indented}"
            parts.append(helper if node.name == "poly" else guarded)
    return "\n".join(parts)
