"""Split tests give the verdict of plain execution, and a batch gives the verdict of running alone."""

from __future__ import annotations

import ast
import contextlib
import gzip
import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from proact.sandbox import Limits, Program, Sandbox
from proact.sandbox.inside.split import plan

# Some references hold escapes that Python warns about.
pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")]
MUTANTS = 420
LIMITS, SHORT = Limits(cpu_seconds=8.0), Limits(cpu_seconds=1.0)
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.FloorDiv, ast.FloorDiv: ast.Div},
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.And: ast.Or, ast.Or: ast.And, ast.Mod: ast.Mult},
}
WRAPPERS = ("list", "tuple", "iter", "str", "set", "sorted", "bool", "float", "repr", "reversed")


def mbpp(shared: Path) -> list[Program]:
    rows = [json.loads(line) for line in (shared / "data" / "mbpp.jsonl").read_text().splitlines()]
    return [
        Program(
            id=str(row["task_id"]),
            code=row["code"],
            tests=tuple(row["test_list"]),
            setup=row["test_setup_code"],
            limits=LIMITS,
        )
        for row in rows
    ]


def mutants(programs: list[Program], count: int, seed: int) -> Iterator[Program]:
    """References with one operator, constant or returned type changed."""
    randomly = Random(seed)
    made = 0
    while made < count:
        program = randomly.choice(programs)
        tree = ast.parse(program.code or "")
        nodes = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.BinOp | ast.Compare | ast.BoolOp | ast.Constant | ast.Return)
        ]
        if program.id == "123" or not nodes:
            continue
        _mutate(randomly.choice(nodes), randomly)
        made += 1
        yield Program(
            id=f"{program.id}#{made}",
            code=ast.unparse(ast.fix_missing_locations(tree)),
            tests=program.tests,
            setup=program.setup,
            limits=SHORT,
        )


def _mutate(node: ast.AST, randomly: Random) -> None:
    if isinstance(node, ast.Constant):
        node.value = node.value + 1 if isinstance(node.value, int | float) else "other"
    elif isinstance(node, ast.Return) and node.value is not None:
        node.value = ast.Call(ast.Name(randomly.choice(WRAPPERS), ast.Load()), [node.value], [])
    elif isinstance(node, ast.BinOp | ast.BoolOp):
        node.op = _swapped(node.op)
    elif isinstance(node, ast.Compare):
        node.ops = [_swapped(node.ops[0]), *node.ops[1:]]


def _swapped(operator: ast.AST) -> Any:
    return SWAPS.get(type(operator), type(operator))()


def plainly(program: Program) -> bool:
    """Whether the program passes when everything is executed in one namespace, in a child of this process."""
    child = os.fork()
    if child == 0:
        signal.alarm(3)
        verdict = 1
        with contextlib.suppress(BaseException), contextlib.redirect_stdout(io.StringIO()):
            namespace: dict[str, object] = {"__name__": "candidate"}
            for source in (program.code or "", program.setup, *program.tests):
                exec(source, namespace)
            verdict = 0
        os._exit(verdict)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_every_reference_passes_and_is_split(shared: Path, sandbox: Sandbox) -> None:
    programs = mbpp(shared)
    assert len(programs) == 974
    assert [p.id for p in programs if plan(p.tests, p.setup).tier != "split"] == []
    results = list(sandbox.run_many(programs))
    assert [(r.id, r.status, r.message) for r in results if r.status != "pass"] == []
    assert {r.tier for r in results} == {"split"}


def test_mutants_get_the_verdict_of_plain_execution(shared: Path, sandbox: Sandbox) -> None:
    programs = list(mutants(mbpp(shared), MUTANTS, seed=7))
    results = list(sandbox.run_many(programs))
    disagree = [(p, r) for p, r in zip(programs, results, strict=True) if plainly(p) != (r.status == "pass")]
    assert [(p.code, p.tests, r.status, r.message) for p, r in disagree] == []
    passing = sum(result.status == "pass" for result in results)
    assert 0.02 * MUTANTS < passing < 0.8 * MUTANTS


def test_a_batch_gives_the_verdicts_of_running_alone(shared: Path, sandbox: Sandbox) -> None:
    references = mbpp(shared)
    mixed = [p for p in references if p.id != "123"][:300] + list(mutants(references, 300, seed=11))
    Random(5).shuffle(mixed)
    batched = {r.id: (r.status, r.passed) for r in sandbox.run_many(mixed)}
    alone = {p.id: (r.status, r.passed) for p in mixed for r in [sandbox.run(p)]}
    assert {name: (batched[name], alone[name]) for name in alone if batched[name] != alone[name]} == {}


def test_humaneval(shared: Path, sandbox: Sandbox) -> None:
    with gzip.open(shared / "data" / "HumanEval.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    programs = [
        Program(
            id=r["task_id"],
            code=r["prompt"] + r["canonical_solution"],
            tests=(f"{r['test']}\ncheck({r['entry_point']})",),
        )
        for r in rows
    ]
    results = list(sandbox.run_many(programs))
    assert [(r.id, r.status, r.message) for r in results if r.status != "pass"] == []
    assert [r.id for r in results if r.tier != "split"] == []
    assert sum(len(r.passed) for r in results) > 1000
    broken = [
        Program(id=r["task_id"], code=r["prompt"] + "    return None\n", tests=p.tests)
        for r, p in zip(rows, programs, strict=True)
    ]
    assert [r.id for r in sandbox.run_many(broken) if r.status == "pass"] == []
