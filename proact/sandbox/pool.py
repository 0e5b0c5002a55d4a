"""Runs each program in a fresh interpreter with limits and a scrubbed environment."""

from __future__ import annotations

import ast
import resource
import secrets
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Self

import msgspec

from proact.sandbox.program import Program, Result

RUNNER = """
import json, os, sys
job = json.load(sys.stdin)
out = os.dup(1); os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
space = {"__name__": "candidate"}
passed = []
def report(status): os.write(out, json.dumps([job["nonce"], status, passed]).encode()); os._exit(0)
try:
    exec(compile(job["code"], "<candidate>", "exec"), space)
    exec(compile(job["setup"], "<setup>", "exec"), space)
except BaseException:
    report("load_error")
for test in job["tests"]:
    try:
        exec(compile(test, "<test>", "exec"), space); passed.append(True)
    except BaseException:
        passed.append(False)
report("pass" if all(passed) else "fail")
"""


class Sandbox:
    def __init__(self, workers: int | None = None, isolation: str = "auto", cache: Path | None = None) -> None:
        self._pool = ThreadPoolExecutor(workers or cpu_count() or 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._pool.shutdown()

    def run_many(self, programs: Iterable[Program]) -> Iterator[Result]:
        waiting: deque[Future[Result]] = deque()
        for program in programs:
            waiting.append(self._pool.submit(self.run, program))
            while len(waiting) > 64:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def run(self, program: Program) -> Result:
        if program.code is None:
            return Result(id=program.id, status="no_answer", passed=(False,) * len(program.tests))
        nonce = secrets.token_hex()
        prelude, tests = _split(program.tests)
        job = {"code": program.code, "setup": f"{program.setup}\n{prelude}", "tests": tests, "nonce": nonce}
        limits = program.limits

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_CPU, (int(limits.cpu_seconds), int(limits.cpu_seconds) + 1))
            resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mb << 20,) * 2)

        with tempfile.TemporaryDirectory() as folder:
            try:
                done = subprocess.run(
                    [sys.executable, "-I", "-c", RUNNER],
                    input=msgspec.json.encode(job),
                    capture_output=True,
                    cwd=folder,
                    env={},
                    timeout=3 * limits.cpu_seconds,
                    preexec_fn=limit,
                )
            except subprocess.TimeoutExpired:
                return Result(id=program.id, status="timeout", passed=(False,) * len(tests))
        try:
            said, status, passed = msgspec.json.decode(done.stdout)
        except ValueError:
            said, status, passed = "", "crash", []
        if said != nonce:
            status, passed = ("timeout" if done.returncode == -24 else "crash"), []
        passed = [*passed, *[False] * (len(tests) - len(passed))]
        return Result(id=program.id, status=status, passed=tuple(passed), tier="in-process", layers=("rlimits",))


def _split(tests: tuple[str, ...]) -> tuple[str, list[str]]:
    if len(tests) > 1:
        return "", list(tests)
    tree = ast.parse(tests[0])
    asserts = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Assert)]
    rest = [ast.unparse(node) for node in tree.body if not isinstance(node, ast.Assert)]
    return ("\n".join(rest), asserts) if asserts else ("", list(tests))
