"""What is kept of a result, and what is never kept."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest
from command import Command

from proact.errors import OutputError
from proact.sandbox import Limits, Program, Sandbox
from proact.sandbox.cache import Cache, key

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


@pytest.mark.parametrize("test", ["assert f(3) == 9", "import io\nassert f(3) == 9"])
def test_a_message_with_half_a_character_is_kept(tmp_path: Path, test: str) -> None:
    program = Program(id="a", code="def f(x): raise ValueError('\\ud800')", tests=(test,))
    with Sandbox(1, cache=tmp_path / "c.db") as sandbox:
        result = sandbox.run(program)
    assert (result.status, result.message) == ("fail", "ValueError: \N{REPLACEMENT CHARACTER}")
    with Sandbox(1, cache=tmp_path / "c.db") as sandbox:
        assert sandbox.run(program) == result


def test_a_result_that_cannot_be_written_is_told_and_the_next_one_is_not_lost(tmp_path: Path) -> None:
    path, other = tmp_path / "c.db", msgspec.structs.replace(GOOD, id="b", code="def f(x): return 9")
    with Sandbox(1, cache=path) as sandbox, sqlite3.connect(path) as store:
        store.executescript("DROP TABLE results; CREATE VIEW results AS SELECT x'' AS key, x'' AS result WHERE 0")
        with pytest.raises(OutputError, match=f"^{path}: cannot write the sandbox's results: "):
            sandbox.run(GOOD)
        with pytest.raises(OutputError, match="c.db: cannot write"):
            list(sandbox.run_many([GOOD, other]))
        store.executescript("DROP VIEW results; CREATE TABLE results (key BLOB PRIMARY KEY, result BLOB NOT NULL)")
        assert [sandbox.run(program).status for program in (GOOD, other)] == ["pass", "pass"]
    store.close()


def test_whatever_goes_wrong_is_raised_where_the_result_is_awaited(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def put(cache: Cache, name: bytes, result: object) -> None:
        raise RuntimeError("odd")

    with Sandbox(1, cache=tmp_path / "c.db") as sandbox:
        with monkeypatch.context() as patched:
            patched.setattr(Cache, "put", put)
            with pytest.raises(RuntimeError, match="odd"):
                sandbox.run(GOOD)
        assert sandbox.run(GOOD).status == "pass"


def test_a_row_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with Sandbox(1, cache=path) as sandbox:
        sandbox.run(GOOD)
    with sqlite3.connect(path) as store:
        store.execute("UPDATE results SET result = x'c1'")
    store.close()
    with Sandbox(1, cache=path) as sandbox, pytest.raises(OutputError, match="c.db: cannot read"):
        sandbox.run(GOOD)


@pytest.mark.parametrize("kind", ["a folder that is a file", "a file that is no database", "a full disk"])
def test_a_file_that_cannot_be_opened_is_named_by_every_command(tmp_path: Path, kind: str) -> None:
    command = Command(tmp_path)
    generate = ("generate", "--mode", "synthetic", "--domain", "planning", "--n-states", 2, "--out")
    command.ok(*generate, "t.jsonl")
    cache = tmp_path / "broken"
    command.environment["PROACT_CACHE_DIR"] = str(cache)
    if kind == "a folder that is a file":
        cache.write_text("")
    else:
        cache.mkdir()
        (cache / "sandbox.db").write_bytes(b"not a database" * 100 if kind == "a file that is no database" else b"")
    if kind == "a full disk":
        command.largest_file = 0
    for arguments in ((*generate, "u.jsonl"), ("reward", "--trajectories", "t.jsonl", "--out", "p.jsonl")):
        ended = command.run(*arguments)
        assert ended.code == 1
        assert ended.complaint.startswith(f"proact: {cache / 'sandbox.db'}: cannot keep the sandbox's results: ")
        assert "Traceback" not in ended.stderr
