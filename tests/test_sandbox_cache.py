"""What is kept of a result, and what is never kept."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest

from proact.sandbox import Limits, Program, Sandbox
from proact.sandbox.cache import key

GOOD = Program(id="a", code="def f(x):\n    return x * x\n", tests=("assert f(3) == 9",))


def rows(path: Path) -> int:
    with sqlite3.connect(path) as store:
        count: int = store.execute("SELECT count(*) FROM results").fetchone()[0]
    store.close()
    return count


def test_equal_content_is_run_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sandbox.db"
    again = msgspec.structs.replace(GOOD, id="b", code="def f(x):\r\n    return x * x\r\n")
    with Sandbox(1, cache=path) as sandbox:
        first, second = sandbox.run(GOOD), sandbox.run(again)
    assert rows(path) == 1
    assert (second.id, second.cpu_seconds, second.layers) == ("b", first.cpu_seconds, first.layers)
    with Sandbox(1, cache=path) as sandbox:
        assert [r.id for r in sandbox.run_many([GOOD, again])] == ["a", "b"]
        assert sandbox._link is None


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("def f(x): return 0", 1),
        ("def f(x) return", 1),
        ("def f(x):\n    while True: pass", 1),
        (None, 0),
    ],
)
def test_what_is_kept(tmp_path: Path, code: str | None, kept: int) -> None:
    program = msgspec.structs.replace(GOOD, code=code, limits=Limits(cpu_seconds=0.5))
    with Sandbox(1, cache=tmp_path / "c.db") as sandbox:
        sandbox.run(program)
    assert rows(tmp_path / "c.db") == kept


def test_infra_is_never_kept(tmp_path: Path) -> None:
    with Sandbox(1, cache=tmp_path / "c.db") as sandbox:
        assert sandbox.run(msgspec.structs.replace(GOOD, tests=("assert f(",))).status == "infra"
    assert rows(tmp_path / "c.db") == 0


def test_the_key_holds_everything_that_matters() -> None:
    others = [
        msgspec.structs.replace(GOOD, code="x"),
        msgspec.structs.replace(GOOD, tests=("assert f(3) == 9", "")),
        msgspec.structs.replace(GOOD, setup="x = 1"),
        msgspec.structs.replace(GOOD, limits=Limits(cpu_seconds=5)),
    ]
    assert len({key(GOOD, "jail"), key(GOOD, "rlimits"), *(key(other, "jail") for other in others)}) == 6
