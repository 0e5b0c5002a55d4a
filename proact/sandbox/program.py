"""What goes into the sandbox and what comes out of it."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal[
    "pass", "fail", "timeout", "crash", "memory", "load_error", "no_answer", "tampered", "suspect", "infra"
]


class Limits(msgspec.Struct, frozen=True):
    """What one program may use."""

    cpu_seconds: float = 4.0
    memory_mb: int = 1024
    output_mb: int = 16


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate and the tests that it must pass.

    `tests` holds Python statements, each one test, or a single source whose asserts and test functions are the tests.
    `setup` runs after the candidate and before the tests. `code` None means that the answer held no code.
    """

    id: str
    code: str | None
    tests: tuple[str, ...]
    setup: str = ""
    limits: Limits = Limits()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one program: `passed` tells per test whether it passed, in the order of the tests."""

    id: str
    status: Status
    passed: tuple[bool, ...] = ()
    tier: str = ""
    layers: tuple[str, ...] = ()
    message: str = ""
    cpu_seconds: float = 0.0
