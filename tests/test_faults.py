"""A server with faults, and a process that is killed: nothing is lost, there twice, or paid for twice."""

from __future__ import annotations

import random
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_server import QUARTER, ChatServer, Plan
from command import Command, rows, sorted_bytes
from command import ended as finish

SINGLE: tuple[object, ...] = ()
MULTI = ("--multi-turn", "--branch-turns", "--max-turns", 3)
STANDS_IN = ("generate", "--mode", "synthetic", "--domain", "planning", "--n-states", 3, "--out", "t.jsonl")
IN_FLIGHT = 4
FORMS = pytest.mark.parametrize("form", [SINGLE, MULTI], ids=["single", "multi-turn"])


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as running:
        yield running


def generate(server: ChatServer, *more: object, states: int = 12) -> list[object]:
    made = ["generate", "--mode", "synthetic", "--domain", "planning", "--n-states", states]
    return [*made, "--model", "openai:m", "--base-url", server.url, "--out", "t.jsonl", *more]


def undisturbed(folder: Path, server: ChatServer, arguments: list[object]) -> tuple[list[bytes], Counter[str]]:
    """The lines of a run without faults and with a cache of its own, and what the server was asked."""
    folder.mkdir()
    Command(folder).ok(*arguments)
    asked = Counter(server.counts)
    server.reset()
    return sorted_bytes(folder / "t.jsonl"), asked


def check_once_each(folder: Path, planned: set[str]) -> set[str]:
    """Every planned job is a record or a failure line, and none is both or twice; returns those that failed."""
    lines = rows(folder / "t.jsonl")
    done = [line["job"] for line in lines if line["terminal"]]
    failed = [name for line in rows(folder / "t.failures.jsonl") for name in line["ids"]]
    assert len({line["id"] for line in lines}) == len(lines)
    assert sorted([*done, *failed]) == sorted(planned)
    return set(failed)


@FORMS
def test_a_quarter_of_faults_loses_nothing(tmp_path: Path, server: ChatServer, form: tuple[object, ...]) -> None:
    arguments = generate(server, *form, states=30 if form is SINGLE else 6)
    expected, asked = undisturbed(tmp_path / "calm", server, arguments)
    planned = {line["job"] for line in rows(tmp_path / "calm/t.jsonl")}
    command = Command(tmp_path)
    server.plan = Plan(faults=QUARTER, seed=7)

    ended = command.run(*arguments, "--max-attempts", 2, "--json")
    assert ended.code == 3, ended.stderr
    assert set(server.faults) == set(QUARTER)
    failed = check_once_each(tmp_path, planned)
    assert failed
    assert ended.summary["missing"] == len(failed)
    assert {line["error"] for line in rows(tmp_path / "t.failures.jsonl")} <= {"ModelError", "ReplyError"}

    server.plan = Plan()
    assert 0 < logged(tmp_path, "completion IS NULL") <= len(failed)
    known = logged(tmp_path)
    server.reset()
    summary = command.ok(*arguments)
    assert summary["done"] == len(failed)
    assert server.total == len(asked) - known
    assert sorted_bytes(tmp_path / "t.jsonl") == expected
    assert not (tmp_path / "t.failures.jsonl").exists()


def logged(folder: Path, which: str = "completion IS NOT NULL") -> int:
    """How many requests stand in the call log."""
    database = sqlite3.connect(folder / "cache/calls.db")
    try:
        (count,) = database.execute(f"SELECT count(*) FROM calls WHERE {which}").fetchone()
    finally:
        database.close()
    return int(count)


@FORMS
def test_killed_at_ten_moments_the_output_is_the_same(
    tmp_path: Path, server: ChatServer, form: tuple[object, ...]
) -> None:
    arguments = generate(server, *form, "--concurrency", IN_FLIGHT, states=12 if form is SINGLE else 5)
    expected, asked = undisturbed(tmp_path / "calm", server, arguments)
    command = Command(tmp_path)
    server.plan = Plan(delay=0.02)
    chance = random.Random(4)
    moments = sorted(chance.sample(range(len(asked) - 2), 10))
    for kills, moment in enumerate(moments):
        process = command.start(*arguments)
        assert server.wait_for(moment + 1), process.communicate(timeout=1)
        server.pause(chance.random() * 0.03)
        process.kill()
        assert finish(process).code == -signal.SIGKILL
        assert server.total - len(server.counts) <= IN_FLIGHT * kills
        assert len(server.counts) - logged(tmp_path) <= IN_FLIGHT
    summary = command.ok(*arguments)
    assert summary["missing"] == 0
    assert sorted_bytes(tmp_path / "t.jsonl") == expected
    assert set(server.counts) == set(asked)
    assert server.total - len(asked) <= IN_FLIGHT * len(moments)


def test_a_fault_and_a_kill_together_end_in_the_same_output(tmp_path: Path, server: ChatServer) -> None:
    arguments = generate(server, *MULTI, "--concurrency", IN_FLIGHT, states=8)
    expected, _ = undisturbed(tmp_path / "calm", server, arguments)
    command = Command(tmp_path)
    server.plan = Plan(faults={"429": 0.2, "length": 0.1}, seed=3, delay=0.005)
    for moment in (5, 20):
        process = command.start(*arguments)
        assert server.wait_for(moment)
        process.kill()
        finish(process)
    ended = command.run(*arguments)
    assert ended.code in (0, 3)
    server.plan = Plan()
    command.ok(*arguments)
    assert sorted_bytes(tmp_path / "t.jsonl") == expected


@pytest.mark.parametrize(("form", "cut"), [(SINGLE, 1), (SINGLE, 30), (MULTI, 1), (MULTI, 2000)])
def test_a_torn_end_is_cut_and_made_again(tmp_path: Path, form: tuple[object, ...], cut: int) -> None:
    command, out = Command(tmp_path), tmp_path / "t.jsonl"
    command.ok(*STANDS_IN, *form)
    expected = sorted_bytes(out)
    out.write_bytes(out.read_bytes()[:-cut])
    summary = command.ok(*STANDS_IN, *form)
    assert (summary["done"], summary["calls"]) == (1, 0)
    assert sorted_bytes(out) == expected


def test_an_unterminated_conversation_is_cut_and_made_again(tmp_path: Path) -> None:
    command, out = Command(tmp_path), tmp_path / "t.jsonl"
    command.ok(*STANDS_IN, *MULTI)
    expected, lines = sorted_bytes(out), out.read_bytes().splitlines(keepends=True)
    long = next(place for place, line in enumerate(lines) if b'"terminal":false' in line)
    out.write_bytes(b"".join(lines[: long + 1]))
    summary = command.ok(*STANDS_IN, *MULTI)
    assert summary["done"] == summary["planned"] - summary["skipped"] > 0
    assert sorted_bytes(out) == expected


def test_a_torn_failure_line_does_not_stop_the_next_run(tmp_path: Path, server: ChatServer) -> None:
    arguments = generate(server, states=3)
    server.plan = Plan(always=(400, {}, '{"error": {"message": "no"}}'))
    command = Command(tmp_path)
    assert command.run(*arguments).code == 3
    failures = tmp_path / "t.failures.jsonl"
    assert len(rows(failures)) == 9
    failures.write_bytes(failures.read_bytes()[:-20])
    assert command.run(*arguments).code == 3
    assert len(rows(failures)) == 9
    server.plan = Plan()
    command.ok(*arguments)
    assert not failures.exists()


def test_too_many_failures_stop_the_run(tmp_path: Path, server: ChatServer) -> None:
    server.plan = Plan(always=(400, {}, '{"error": {"message": "no"}}'))
    ended = Command(tmp_path).run(*generate(server, "--max-failures", 3, "--concurrency", 1))
    assert ended.code == 1
    assert "more than 3 jobs failed, the last with:" in ended.complaint
    assert len(rows(tmp_path / "t.failures.jsonl")) == 4
    assert server.total == 4
    assert Command(tmp_path).run(*generate(server, "--max-failures", 3, "--concurrency", 1)).code == 1
    assert len({row["ids"][0] for row in rows(tmp_path / "t.failures.jsonl")}) == len(
        rows(tmp_path / "t.failures.jsonl")
    )


def test_what_succeeds_before_a_stop_is_no_failure_any_more(tmp_path: Path, server: ChatServer) -> None:
    server.plan = Plan(always=(400, {}, '{"error": {"message": "no"}}'))
    assert Command(tmp_path).run(*generate(server, "--max-failures", 100, "--concurrency", 1)).code == 3
    before = len(rows(tmp_path / "t.failures.jsonl"))
    server.plan = Plan(script=["Which one?", "Done."], always=(400, {}, '{"error": {"message": "no"}}'))
    assert Command(tmp_path).run(*generate(server, "--max-failures", 0, "--concurrency", 1)).code == 1
    done = {row["job"] for row in rows(tmp_path / "t.jsonl")}
    left = {row["ids"][0] for row in rows(tmp_path / "t.failures.jsonl")}
    assert done
    assert (left & done, len(left)) == (set(), before - len(done))


def test_a_run_in_which_everything_fails_is_stopped(tmp_path: Path, server: ChatServer) -> None:
    server.plan = Plan(always=(400, {}, '{"error": {"message": "no"}}'))
    ended = Command(tmp_path).run(*generate(server, "--concurrency", 1))
    assert ended.code == 1
    assert re.search(r"the first 25 calls all failed, the last with: .* answered 400 \(no\)", ended.complaint)
