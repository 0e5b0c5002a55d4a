"""The judge of one worker: holds tests and expected values, and comes to the outcome of each program.

It is confined like the candidates, may be killed at any time, and runs no code of theirs: what they send is data.
"""

from __future__ import annotations

import array
import json
import math
import os
import resource
import socket
import sys
from typing import Any

from . import jail, seccomp
from .frames import Closed, Frames
from .remote import Ended, Line, Unsendable
from .split import IN_PROCESS, SPLIT, Plan, imported, plan
from .supervisor import READY, ZYGOTE_LOST
from .trial import Outcome, ended, judged

# A program that needs more than this is run alone, where it has its full limits; most need a thousandth.
BATCH_CPU_SECONDS, BATCH_MEMORY_MB = 0.3, 192
WALL_FACTOR = 3
SPARE_CPU_SECONDS = 4
MEMORY_MB = 3072


class Judge:
    """Takes jobs from the supervisor, has the zygote make children, and questions them."""

    def __init__(self, link: Frames, control: socket.socket, layers: list[str], isolation: str) -> None:
        self._link, self._control, self._layers = link, control, layers
        self._zygote = Frames(control.fileno())
        self._jailed = isolation != "rlimits"

    def serve(self) -> None:
        """Answer jobs until the supervisor hangs up."""
        while True:
            job = json.loads(self._link.read())
            _allow_cpu(job["limits"]["cpu"])
            outcomes = self._outcomes(job)
            reply = {"layers": self._layers, "outcomes": [outcome.data() for outcome in outcomes]}
            self._link.write(json.dumps(reply).encode())

    def _outcomes(self, job: dict[str, Any]) -> list[Outcome]:
        programs = job["programs"]
        plans = [plan(tuple(program["tests"]), program["setup"]) for program in programs]
        if not job["batch"]:
            return [self._alone(programs[0], plans[0], job["limits"])]
        outcomes = [_at_once(program, made) for program, made in zip(programs, plans, strict=True)]
        waiting = [at for at, outcome in enumerate(outcomes) if outcome is None and plans[at].tier == SPLIT]
        if waiting:
            full = job["limits"]
            less = {"cpu": min(full["cpu"], BATCH_CPU_SECONDS), "memory": min(full["memory"], BATCH_MEMORY_MB)}
            limits = {**full, **less}
            with Child(self, limits) as child:
                for at in waiting:
                    outcome = child.try_program(programs[at], plans[at], batch=True)
                    if outcome.status in ("gone", "tampered", "memory"):
                        break
                    if outcome.status == "load_error" and programs[at]["setup"]:
                        continue  # Whose fault it is can only be told by a child that has loaded nothing yet.
                    outcomes[at] = outcome
            for at in waiting:
                if (done := outcomes[at]) is not None:
                    done.cpu = child.report["cpu"] / len(waiting)
        return [outcome or Outcome("infra", [], again=True) for outcome in outcomes]

    def _alone(self, program: dict[str, Any], made: Plan, limits: dict[str, Any]) -> Outcome:
        if (outcome := _at_once(program, made)) is not None:
            return outcome
        try:
            with Child(self, limits) as child:
                outcome = child.try_program(program, made, batch=False)
        except Unsendable:
            forced = plan(tuple(program["tests"]), program["setup"], in_process=True)
            return self._alone(program, forced, limits) if made.tier != IN_PROCESS else _unfit(made, "unsendable")
        outcome.cpu = child.report["cpu"]
        if outcome.status == "gone":
            outcome = ended(outcome, child.report, lambda: not self._jailed)
        if outcome.status == "load_error" and (problem := self._unprepared(program["setup"], limits)):
            return _unfit(made, f"the setup cannot run here: {problem}")
        return outcome

    def _unprepared(self, setup: str, limits: dict[str, Any]) -> str:
        """Why a setup fails whatever the candidate is: what it imports is not here. Empty when it need not fail."""
        if not (imports := imported(setup)):
            return ""
        with Child(self, limits) as child:
            return child.problem(imports)

    def order(self, limits: dict[str, Any], fd: int) -> None:
        """Have a child made that answers on `fd`."""
        wall = WALL_FACTOR * limits["cpu"] + 1
        order = json.dumps({**limits, "wall": wall}).encode()
        data = len(order).to_bytes(4, "little") + order
        try:
            self._control.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        except OSError as error:
            raise Closed from error

    def tell(self, word: bytes) -> None:
        """Say something about the living child."""
        self._zygote.write(word)

    def report(self) -> dict[str, Any]:
        """How the child ended."""
        report: dict[str, Any] = json.loads(self._zygote.read())
        return report


class Child:
    """A child while it lives: leaving the block ends it."""

    def __init__(self, judge: Judge, limits: dict[str, Any]) -> None:
        self._judge, self._limits = judge, limits
        self.report: dict[str, Any] = {}
        self._line: Line | None = None

    def __enter__(self) -> Child:
        ours, theirs = socket.socketpair()
        self._socket = ours
        with theirs:
            self._judge.order(self._limits, theirs.fileno())
        return self

    def _new_line(self) -> Line:
        self._line = Line(
            self._socket.fileno(),
            reply_bytes=self._limits["output"] * jail.MEGABYTE,
            patience=max(self._limits["cpu"], 1.0),
            on_idle=lambda: self._judge.tell(b"idle"),
        )
        return self._line

    def try_program(self, program: dict[str, Any], made: Plan, *, batch: bool) -> Outcome:
        """One program's trial; in a batch the next one starts with nothing of it."""
        try:
            return judged(self._new_line(), made, program["code"], program["setup"], batch=batch)
        except Unsendable:
            if batch:
                return Outcome("infra", [], again=True)
            raise

    def problem(self, code: str) -> str:
        """What code that is trusted raises when it is loaded, empty when it loads."""
        line = self._new_line()
        try:
            loaded = line.request(op="load", code=code, setup="", batch=False)
        except Ended:
            return "no answer"
        return str(line.raised(loaded["x"])) if "x" in loaded else ""

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._judge.tell(b"gone" if self._line is not None and self._line.silent else b"kill")
        self.report = self._judge.report()


def _at_once(program: dict[str, Any], made: Plan) -> Outcome | None:
    """The outcome of a program that need not be run."""
    if made.error:
        return _unfit(made, made.error)
    if program["refused"]:
        return Outcome("load_error", [False] * made.count, made.tier, program["refused"])
    return None


def _unfit(made: Plan, message: str) -> Outcome:
    return Outcome("infra", [False] * made.count, made.tier, message)


def _allow_cpu(seconds: float) -> None:
    """Let this job use so much of the judge's time; passing it ends the judge, which the supervisor replaces."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds) + SPARE_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def main(arguments: list[str]) -> None:
    """The role's entry: `judge LINK_FD CONTROL_FD ISOLATION`."""
    link, isolation = Frames(int(arguments[0])), arguments[2]
    control = socket.socket(fileno=int(arguments[1]))
    jail.die_with_parent()
    sys.setrecursionlimit(3000)
    try:
        layers = json.loads(Frames(control.fileno()).read())["layers"]
        resource.setrlimit(resource.RLIMIT_AS, (jail.address_space() + MEMORY_MB * jail.MEGABYTE,) * 2)
        own = jail.enter(isolation, [])
        if isolation != "rlimits":
            seccomp.install_judge()
        link.write(READY)
        Judge(link, control, [layer for layer in layers if layer in own], isolation).serve()
    except Closed:
        os._exit(ZYGOTE_LOST)
