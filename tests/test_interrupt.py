"""Ctrl-C once lets what is in flight finish, twice ends at once; either way the next run goes on from there."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_server import ChatServer, Plan
from command import Command, rows, sorted_bytes
from command import ended as finish

IN_FLIGHT = 4


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as running:
        yield running


def generate(server: ChatServer, out: str) -> list[object]:
    made = ["generate", "--mode", "synthetic", "--domain", "planning", "--n-states", 10, "--concurrency", IN_FLIGHT]
    return [*made, "--model", "openai:m", "--base-url", server.url, "--out", out]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_finishes_what_is_in_flight(tmp_path: Path, server: ChatServer, number: signal.Signals) -> None:
    command = Command(tmp_path)
    server.plan = Plan(delay=0.1)
    process = command.start(*generate(server, "t.jsonl"), "--json")
    assert server.wait_for(10)
    process.send_signal(number)
    ended = finish(process)
    assert ended.code == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    done = ended.summary["done"]
    assert 0 < done < ended.summary["planned"]
    assert len(rows(tmp_path / "t.jsonl")) == done
    asked = server.total
    assert ended.summary["calls"] == asked

    server.plan = Plan()
    summary = command.ok(*generate(server, "t.jsonl"))
    assert (summary["skipped"], summary["cached"]) == (done, 0)
    assert server.total == asked + summary["calls"]
    assert server.total == len(server.counts)
    Command(tmp_path, PROACT_CACHE_DIR=str(tmp_path / "other")).ok(*generate(server, "calm.jsonl"))
    assert sorted_bytes(tmp_path / "t.jsonl") == sorted_bytes(tmp_path / "calm.jsonl")


def test_twice_ends_at_once(tmp_path: Path, server: ChatServer) -> None:
    command = Command(tmp_path)
    command.ok(*generate(server, "t.jsonl"), "--branches", 0)
    before = sorted_bytes(tmp_path / "t.jsonl")
    server.plan = Plan(faults={"silent": 1.0})
    server.reset()
    process = command.start(*generate(server, "t.jsonl"))
    assert server.wait_for(IN_FLIGHT)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert time.monotonic() - started < 5
    assert ended.code == 130
    assert "Traceback" not in ended.stderr
    assert "never retrieved" not in ended.stderr
    assert sorted_bytes(tmp_path / "t.jsonl") == before
    assert not (tmp_path / "t.failures.jsonl").exists()
    server.plan = Plan()
    command.ok(*generate(server, "t.jsonl"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_stage_of_a_round_goes_on_with_a_part_of_the_one_before(
    tmp_path: Path, base: Path, number: signal.Signals
) -> None:
    world = ("--world", "keyring", "--n-test", 1, "--test-replicates", 1, "--n-states", 78, "--replicates", 50)
    process = Command(tmp_path).start("iterate", *world, "--model", base, "--out", "rounds", "--json")
    played = tmp_path / "rounds" / "round-1" / "trajectories.jsonl"
    until = time.monotonic() + 60
    while not (played.is_file() and played.stat().st_size) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    ended = finish(process)
    assert (ended.code, ended.stdout) == (130, ""), ended.stderr
    assert "Traceback" not in ended.stderr
    assert [path.name for path in sorted(played.parent.glob("*.jsonl"))] == ["trajectories.jsonl"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stage_that_replaces_its_output_leaves_nothing_half_written(tmp_path: Path, number: signal.Signals) -> None:
    command = Command(tmp_path)
    world = ("--mode", "synthetic", "--world", "keyring", "--multi-turn", "--n-states", 78, "--replicates", 40)
    command.ok("generate", *world, "--out", "t.jsonl")
    process = command.start("reward", "--trajectories", "t.jsonl", "--rewards", "r.jsonl", "--out", "p.jsonl")
    until = time.monotonic() + 60
    while not [*tmp_path.glob(".*.tmp")] and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(number)
    ended = finish(process)
    assert ended.code == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert not [*tmp_path.glob(".*.tmp"), *tmp_path.glob("[rp]*.jsonl")]


def test_before_the_work_begins(tmp_path: Path) -> None:
    command = Command(tmp_path)
    many = ["generate", "--mode", "synthetic", "--domain", "planning", "--n-states", 40_000, "--out", "t.jsonl"]
    process = command.start(*many)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert ended.code == 130
    assert "Traceback" not in ended.stderr


SWALLOWS = """
import os, signal

class Closes:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

Closes()
"""


def test_where_python_ignores_it(tmp_path: Path) -> None:
    """What a destructor or an import lock raises never reaches its caller; a Ctrl-C must not be lost there."""
    (tmp_path / "mine.py").write_text(SWALLOWS, "utf-8")
    many = ["generate", "--mode", "synthetic", "--domain", "planning", "--n-states", 40_000, "--out", "t.jsonl"]
    ended = finish(Command(tmp_path).start(*many, "--plugin", "mine.py"))
    assert ended.code == 130
    assert ended.stderr == ""


IMPORTING = """
import os, runpy, signal, sys

class Interrupts:
    def find_spec(self, name, *more):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
runpy.run_module("proact", run_name="__main__")
"""
BUILDING = """
import os, runpy, signal, sys

def watch(frame, event, argument):
    if frame.f_code.co_name == "get_command":
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGINT)

sys.setprofile(watch)
runpy.run_module("proact", run_name="__main__")
"""


@pytest.mark.parametrize(("program", "code"), [(IMPORTING, -signal.SIGINT), (BUILDING, 130)])
def test_before_the_command_line_is_there(program: str, code: int) -> None:
    """While Python imports it, a Ctrl-C ends the process as it would end any other; then it is a command's own."""
    ran = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, b"", b"")
