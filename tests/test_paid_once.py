"""A request is paid for once: the call log, requests in flight, methods that share branches, and the budget."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_server import QUARTER, ChatServer, Plan
from command import Command, ended, rows, sorted_bytes


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as running:
        yield running


def generate(server: ChatServer, out: str, *more: object, states: int = 8) -> list[object]:
    made = ["generate", "--mode", "synthetic", "--domain", "planning", "--n-states", states]
    return [*made, "--model", "openai:m", "--base-url", server.url, "--out", out, *more]


def log(folder: Path, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(folder / "cache/calls.db")
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def test_the_same_requests_make_no_second_call(tmp_path: Path, server: ChatServer) -> None:
    command = Command(tmp_path)
    first = command.ok(*generate(server, "a.jsonl"))
    asked = server.total
    second = command.ok(*generate(server, "b.jsonl"))
    assert server.total == asked == first["calls"]
    assert (second["calls"], second["cached"]) == (0, asked)
    assert sorted_bytes(tmp_path / "a.jsonl") == sorted_bytes(tmp_path / "b.jsonl")


def test_methods_share_the_calls_of_their_common_branches(tmp_path: Path, server: ChatServer) -> None:
    command = Command(tmp_path)
    command.ok(*generate(server, "documented.jsonl", "--policy", "documented"))
    asked = set(server.counts)
    server.reset()
    command.ok(*generate(server, "execute.jsonl", "--policy", "always-execute"))
    assert not asked & set(server.counts)
    lines = rows(tmp_path / "documented.jsonl")
    differing = [line for line in lines if line["is_mainline"] and line["action"] == "Clarify"]
    assert differing
    # Where documented asks, always-execute needs a variant of Execute, which is one call; all the rest is shared.
    assert server.total == len(differing)
    assert len(rows(tmp_path / "execute.jsonl")) == len(lines)


def test_equal_requests_in_flight_cost_one_call(tmp_path: Path, server: ChatServer) -> None:
    state = '{{"id": "s{}", "domain": "planning", "query": "Plan a lunch."}}\n'
    (tmp_path / "states.jsonl").write_text("".join(state.format(n) for n in range(18)))
    server.plan = Plan(delay=0.2)
    only = ("--dataset", "states.jsonl", "--branches", 0, "--policy", "always-execute")
    arguments = ["generate", *only, "--model", "openai:m", "--base-url", server.url, "--out", "t.jsonl"]
    summary = Command(tmp_path).ok(*arguments)
    assert summary["done"] == 18
    # Only the persona's profile makes a difference here.
    assert server.total == len({line["persona"]["name"] for line in rows(tmp_path / "t.jsonl")}) < 18


def test_every_attempt_is_in_the_log(tmp_path: Path, server: ChatServer) -> None:
    server.plan = Plan(faults=QUARTER, seed=2)
    command = Command(tmp_path)
    arguments = generate(server, "t.jsonl", "--max-attempts", 2, "--price", "1/2", states=20)
    ended = command.run(*arguments, "--json")
    assert ended.code == 3
    attempts, wasted = log(tmp_path, "SELECT sum(attempts), sum(wasted) FROM calls")[0]
    assert attempts == server.total
    assert wasted == ended.summary["wasted_tokens"] > 0
    (cost,) = log(tmp_path, "SELECT sum(cost) FROM calls")[0]
    paid = sum(20 + 2 * (body["max_completion_tokens"] if fault else 10) for body, fault in server.outcomes)
    assert cost == pytest.approx(paid / 1e6) == ended.summary["cost"]


def test_the_budget_stops_the_run_and_the_next_goes_on(tmp_path: Path, server: ChatServer) -> None:
    server.plan = Plan(delay=0.05)
    command = Command(tmp_path)
    arguments = generate(server, "t.jsonl", "--concurrency", 4, "--price", "1000/1000")
    ended = command.run(*arguments, "--budget", 0.3)
    assert ended.code == 4
    assert "the budget of $0.3 is spent" in ended.complaint
    # A reply costs three cents, and what is in flight when the money is gone is still paid and kept.
    assert 10 <= server.total <= 13
    assert log(tmp_path, "SELECT count(completion) FROM calls") == [(server.total,)]
    assert not (tmp_path / "t.failures.jsonl").exists()
    summary = command.ok(*arguments, "--budget", 1000)
    assert summary["missing"] == 0
    assert server.total == len(server.counts)


def test_a_budget_without_a_price_is_refused(tmp_path: Path, server: ChatServer) -> None:
    ended = Command(tmp_path).run(*generate(server, "t.jsonl", "--budget", 1))
    assert ended.code == 2
    assert "--budget needs --price" in ended.complaint
    assert server.total == 0


def test_a_run_that_is_stopped_keeps_what_was_in_flight(tmp_path: Path, server: ChatServer) -> None:
    server.plan = Plan(delay=0.1, script=[(400, {}, '{"error": {"message": "no"}}')])
    command = Command(tmp_path)
    ended = command.run(*generate(server, "t.jsonl", "--max-failures", 0, "--concurrency", 4))
    assert ended.code == 1
    assert len(rows(tmp_path / "t.jsonl")) >= 3
    command.ok(*generate(server, "t.jsonl"))
    assert server.total == len(server.counts) + 1


def test_a_failure_leaves_the_reply_that_another_command_has_paid_for(tmp_path: Path, server: ChatServer) -> None:
    state = '{"id": "s", "domain": "planning", "query": "Plan a lunch."}\n'
    (tmp_path / "states.jsonl").write_text(state)
    (tmp_path / "people.jsonl").write_text('{"name": "ann"}\n')
    command = Command(tmp_path)
    only = ("--dataset", "states.jsonl", "--personas", "people.jsonl", "--branches", 0, "--policy", "always-execute")
    play = ("generate", *only, "--model", "openai:m", "--base-url", server.url, "--max-attempts", 1, "--price", "1/2")
    server.plan = Plan(script=["silent"])
    slow = command.start(*play, "--timeout", 2, "--out", "a.jsonl")
    assert server.wait_for(1)
    assert command.ok(*play, "--out", "b.jsonl")["calls"] == 1
    assert ended(slow).code == 3
    assert log(tmp_path, "SELECT attempts, completion IS NOT NULL, prompt_tokens, cost FROM calls") == [
        (2, 1, 20, 4e-5)
    ]
    assert command.ok(*play, "--out", "a.jsonl")["cached"] == 1
    assert server.total == 2
