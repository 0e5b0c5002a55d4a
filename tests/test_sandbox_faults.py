"""Processes killed from outside change no verdict and lose no program, and nothing outlives its caller."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from proact.sandbox import Limits, Program, Result, Sandbox

PROGRAMS = [
    Program(
        id=str(n),
        code=f"def f(x):\n    return x + {n}\n" if n % 3 else "def f(x):\n    return -1\n",
        tests=(f"assert f(1) == {n + 1}", f"assert f(2) == {n + 2}"),
    )
    for n in range(400)
]


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(part) for part in listing.stdout.split()]


@pytest.mark.parametrize(("lane", "apart"), [("alone", 3), ("many", 1)])
def test_kills_at_random(lane: str, apart: int) -> None:
    """A kill after every few results at most: by the clock a slow machine would never start what is killed next."""
    killed, randomly, over = 0, Random(3), threading.Event()
    programs = PROGRAMS if lane == "many" else PROGRAMS[:100]
    results: list[Result] = []
    with Sandbox(2) as sandbox:

        def kill() -> None:
            nonlocal killed
            due = 0
            while not over.wait(0.02):
                workers = children(sandbox.supervisor) if len(results) >= due else []
                below = [pid for worker in workers for pid in children(worker)]
                if workers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(randomly.choice(randomly.choice([workers, below or workers])), signal.SIGKILL)
                        killed, due = killed + 1, len(results) + apart

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            results += sandbox.run_many(programs) if lane == "many" else map(sandbox.run, programs)
        finally:
            over.set()
            killer.join()
    assert killed >= 3
    assert [r.id for r in results] == [p.id for p in programs]
    assert {r.status for n, r in enumerate(results) if n % 3} == {"pass"}
    assert {r.status for n, r in enumerate(results) if not n % 3} == {"fail"}


def test_a_killed_supervisor_is_replaced() -> None:
    with Sandbox(2) as sandbox:
        results = []
        for result in sandbox.run_many(PROGRAMS):
            results.append(result)
            if len(results) in (50, 300):
                os.kill(sandbox.supervisor, signal.SIGKILL)
    assert [r.id for r in results] == [p.id for p in PROGRAMS]
    assert {r.status for n, r in enumerate(results) if n % 3} == {"pass"}


CALLER = """
import sys, threading, time
from proact.sandbox import Limits, Program, Result, Sandbox
sandbox = Sandbox(2)
body = "import time\\ndef f(x):\\n    time.sleep(60)"
program = Program(id="a", code=body, tests=("assert f(1) == 1",), limits=Limits(cpu_seconds=60))
for _ in range(2):
    threading.Thread(target=sandbox.run, args=(program,)).start()
sys.stdout.write("busy\\n")
sys.stdout.flush()
time.sleep(60)
"""


def test_everything_ends_with_a_killed_caller(own_folder: Path, processes: Callable[[], list[str]]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", CALLER], stdout=subprocess.PIPE, env=environment) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"busy\n"
        busy = wait_for(lambda: len(processes()) == 7)
        caller.kill()
    assert busy
    assert wait_for(lambda: not processes())
    assert wait_for(lambda: not list(own_folder.iterdir()))


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether something comes true within ten seconds."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_hostile_programs_among_good_ones(own_folder: Path, processes: Callable[[], list[str]]) -> None:
    bodies = [
        "while True: pass",
        "return [0] * 10**11",
        "import os\n    while True:\n        try: os.fork()\n        except OSError: pass",
    ]
    limits = Limits(cpu_seconds=0.5, memory_mb=256)
    mixed = [Program(id=p.id, code=p.code, tests=p.tests, limits=limits) for p in PROGRAMS[:150]]
    for at, body in zip((5, 40, 41, 77, 110, 149), bodies * 2, strict=True):
        mixed[at] = Program(id=str(at), code=f"def f(x):\n    {body}\n", tests=("assert f(1) == 1",), limits=limits)
    with Sandbox(2) as sandbox:
        results = list(sandbox.run_many(mixed))
    statuses = [results[at].status for at in (5, 40, 41, 77, 110, 149)]
    assert statuses == ["timeout", "memory", "timeout"] * 2
    good = [r.status for n, r in enumerate(results) if n % 3 and n not in (5, 40, 41, 77, 110, 149)]
    assert set(good) == {"pass"}
    assert processes() == []
    assert list(own_folder.iterdir()) == []
