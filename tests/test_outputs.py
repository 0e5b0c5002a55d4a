"""What stands in the way of writing: other settings, another process, a full disk, a file of somebody else's."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from chat_server import ChatServer, Plan
from command import PROACT, Command, rows, sorted_bytes

STANDS_IN = ("generate", "--mode", "synthetic", "--domain", "planning", "--out", "t.jsonl")


def test_other_settings_are_refused_and_shown(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.ok(*STANDS_IN, "--n-states", 4)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    ended = command.run(*STANDS_IN, "--n-states", 4, "--temperature", 0.7, "--no-rollout")
    assert ended.code == 2
    assert "temperature: 0.3 -> 0.7" in ended.complaint
    assert "rollout: True -> False" in ended.complaint
    assert "--overwrite" in ended.complaint
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_overwrite_replaces_the_lines_of_the_jobs_and_keeps_the_others(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.ok(*STANDS_IN, "--n-states", 4)
    before = sorted_bytes(tmp_path / "t.jsonl")
    summary = command.ok(*STANDS_IN, "--n-states", 2, "--temperature", 0.7, "--overwrite")
    assert (summary["planned"], summary["done"]) == (6, 6)
    lines = rows(tmp_path / "t.jsonl")
    assert len({line["id"] for line in lines}) == len(lines) == len(before)
    assert len(set(before) & set(sorted_bytes(tmp_path / "t.jsonl"))) == len(before) - 6
    assert len({line["spec"] for line in lines}) == 2
    assert command.ok(*STANDS_IN, "--n-states", 2, "--temperature", 0.7)["skipped"] == 6


def test_work_can_be_added_to_an_output(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.ok(*STANDS_IN, "--n-states", 2, "--branches", 0)
    summary = command.ok(*STANDS_IN, "--n-states", 4, "--concurrency", 2)
    assert (summary["skipped"], summary["done"]) == (2, 10)


@pytest.mark.parametrize(
    "content",
    [b'{"id": "a", "query": "q", "domain": "coding"}\n', b'{"id": "a", "query": "q"}', b"my notes", b"a\nb\n"],
)
def test_a_file_of_another_kind_is_never_cut(tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "t.jsonl"
    out.write_bytes(content)
    ended = Command(tmp_path).run(*STANDS_IN, "--n-states", 2)
    assert ended.code == 2
    assert ended.complaint.startswith("proact: t.jsonl:1: ")
    assert out.read_bytes() == content


def test_a_broken_line_in_the_middle_costs_nothing_after_it(tmp_path: Path) -> None:
    command, out = Command(tmp_path), tmp_path / "t.jsonl"
    command.ok(*STANDS_IN, "--n-states", 2)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join([lines[0], b"{broken\n", *lines[1:]]))
    before = out.read_bytes()
    ended = command.run(*STANDS_IN, "--n-states", 2)
    assert ended.code == 2
    assert ended.complaint.startswith("proact: t.jsonl:2: ")
    assert out.read_bytes() == before


@pytest.mark.parametrize("out", ["/dev/null", "/dev/full", ".", "data/external/t.jsonl"])
def test_where_nothing_may_be_written(tmp_path: Path, out: str) -> None:
    ended = Command(tmp_path).run(*STANDS_IN[:-1], out, "--n-states", 2)
    assert ended.code == 2
    assert out in ended.complaint
    assert not (tmp_path / "data").exists()


def test_no_output_takes_the_place_of_an_input(tmp_path: Path) -> None:
    command, out = Command(tmp_path), tmp_path / "t.jsonl"
    command.ok(*STANDS_IN, "--n-states", 1)
    before = out.read_bytes()
    (tmp_path / "link.jsonl").symlink_to("t.jsonl")
    for rewards, pairs in (("t.jsonl", "p.jsonl"), ("r.jsonl", "link.jsonl"), ("r.jsonl", "./r.jsonl")):
        ended = command.run("reward", "--trajectories", "t.jsonl", "--rewards", rewards, "--out", pairs)
        assert ended.code == 2
        assert "must be different files" in ended.complaint
    ended = command.run("convert", "mbpp", "t.jsonl", "--out", "t.jsonl")
    assert ended.code == 2
    assert out.read_bytes() == before
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.parametrize(
    "option", [("--price", "nan/1"), ("--price", "-1/1"), ("--timeout", "inf"), ("--temperature", "inf")]
)
def test_a_number_that_is_none_is_refused(tmp_path: Path, option: tuple[str, str]) -> None:
    ended = Command(tmp_path).run(*STANDS_IN, "--n-states", 1, *option)
    assert ended.code == 2
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "t.jsonl").exists()


def test_another_input_under_the_same_id_is_refused(tmp_path: Path) -> None:
    command, states = Command(tmp_path), tmp_path / "states.jsonl"
    state = '{"id": "a", "domain": "planning", "query": "Plan a lunch.", "task_uncertainty": 0.5}\n'
    states.write_text(state)
    arguments = ("generate", "--dataset", "states.jsonl", "--model", "synthetic:", "--out", "t.jsonl")
    command.ok(*arguments)
    states.write_text(state.replace("lunch", "dinner"))
    ended = command.run(*arguments)
    assert ended.code == 2
    assert "the input row is another one" in ended.complaint
    assert command.ok(*arguments, "--overwrite")["done"] == 3
    assert b"lunch" not in (tmp_path / "t.jsonl").read_bytes()


def test_a_second_process_on_the_same_output_is_refused(tmp_path: Path) -> None:
    command = Command(tmp_path)
    with ChatServer(Plan(delay=0.4)) as server:
        arguments = [*STANDS_IN, "--n-states", 2, "--model", "openai:m", "--base-url", server.url]
        first = command.start(*arguments)
        assert server.wait_for(1)
        second = command.run(*arguments)
        assert second.code == 1
        assert second.complaint.startswith("proact: t.jsonl: another proact command is writing this file")
        first.communicate()
        assert first.returncode == 0
    assert len(rows(tmp_path / "t.jsonl")) == 6


def test_what_a_kill_left_half_written_is_cleared_away_by_the_next_run(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.ok(*STANDS_IN, "--n-states", 2)
    left, written, other = (tmp_path / name for name in (".r.jsonl.7.tmp", ".r.jsonl.8.tmp", ".rr.jsonl.7.tmp"))
    for file in (left, written, other):
        file.write_bytes(b"half a li")
    reward = ("reward", "--trajectories", "t.jsonl", "--rewards", "r.jsonl", "--out", "p.jsonl")
    with written.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = command.run(*reward)
    assert (ended.code, "another proact command is writing this file" in ended.complaint) == (1, True)
    assert written.read_bytes() == b"half a li"
    command.ok(*reward)
    assert rows(tmp_path / "r.jsonl")
    assert sorted(tmp_path.glob(".*.tmp")) == [other]


SmallDisk = Callable[[Command, int], Path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Mounts a file system of that many KiB; where that is not allowed, the command's files are limited to it."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(command: Command, size: int) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", disk], capture_output=True)
        if done.returncode:
            command.largest_file = size * 1024
        return disk

    yield mount
    subprocess.run(["umount", disk], capture_output=True)


def test_a_full_disk_keeps_whole_jobs(tmp_path: Path, small_disk: SmallDisk) -> None:
    command = Command(tmp_path)
    out = small_disk(command, 64) / "t.jsonl"
    arguments = [*STANDS_IN[:-1], out, "--n-states", 20]
    ended = command.run(*arguments)
    assert ended.code == 1
    assert ended.complaint.startswith(f"proact: {out}: cannot write: ")
    lines = rows(out)
    assert 5 < len(lines) < 60
    assert all(line["terminal"] for line in lines)
    again = command.run(*arguments)
    assert again.code == 1
    assert rows(out) == lines


def test_a_full_disk_for_the_failures_keeps_the_output(tmp_path: Path, small_disk: SmallDisk) -> None:
    command = Command(tmp_path)
    out = small_disk(command, 64) / "t.jsonl"
    with ChatServer() as server:
        arguments = [*STANDS_IN[:-1], out, "--model", "openai:m", "--base-url", server.url, "--concurrency", 1]
        command.ok(*arguments, "--n-states", 1)
        before = out.read_bytes()
        fill(out.parent / "filler", leave=4096)
        server.plan = Plan(always=(400, {}, '{"error": {"message": "' + "x" * 200 + '"}}'))
        ended = command.run(*arguments, "--n-states", 60)
    assert ended.code == 1
    assert ended.complaint.startswith("proact: ")
    assert ": cannot write: " in ended.complaint
    assert "t.failures.jsonl" in ended.complaint
    assert out.read_bytes() == before
    assert len(rows(out.parent / "t.failures.jsonl")) > 5


def fill(path: Path, leave: int) -> None:
    """Take what is left of a small disk but for that many bytes."""
    with path.open("wb", buffering=0) as file:
        with suppress(OSError):
            for _ in range(1000):
                file.write(bytes(4096))
        file.truncate(file.tell() - leave)


def test_a_full_disk_for_the_call_log_keeps_the_output(tmp_path: Path, small_disk: SmallDisk) -> None:
    command = Command(tmp_path)
    disk = small_disk(command, 200)
    command.environment["PROACT_CACHE_DIR"] = str(disk)
    ended = command.run(*STANDS_IN, "--n-states", 300)
    assert ended.code == 1
    assert ended.complaint.startswith(f"proact: {disk / 'calls.db'}: cannot write the call log: ")
    lines = rows(tmp_path / "t.jsonl")
    assert len({line["id"] for line in lines}) == len(lines) < 900


def test_a_call_log_that_is_no_database_is_named(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "calls.db").write_bytes(b"not a database" * 100)
    ended = Command(tmp_path).run(*STANDS_IN, "--n-states", 2)
    assert ended.code == 1
    assert "calls.db: cannot keep the call log" in ended.complaint
    assert not (tmp_path / "t.jsonl").exists()


def test_a_summary_that_cannot_be_printed_is_one_line(tmp_path: Path) -> None:
    command = Command(tmp_path)
    with open("/dev/full", "wb") as full:
        process = subprocess.run(
            [*PROACT, *STANDS_IN, "--n-states", "1", "--json"],
            cwd=tmp_path,
            env=command.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith("proact: ")
    assert "Traceback" not in process.stderr
    assert len(rows(tmp_path / "t.jsonl")) == 3
