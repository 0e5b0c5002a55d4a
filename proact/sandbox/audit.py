"""Runs the exploits that ship with proact and says whether each got the outcome it must get on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from proact.sandbox.program import Limits, Program, Status
from proact.sandbox.sandbox import Sandbox

FOLDER = Path(__file__).with_name("exploits")
LIMITS = Limits(cpu_seconds=1.0, memory_mb=512)


class Exploit(msgspec.Struct, frozen=True, kw_only=True):
    """A hostile or awkward program: `expected` "pass" means that it must pass, "fail" that it must not."""

    name: str
    kind: str
    expected: str
    tests: tuple[str, ...]
    why: str
    setup: str = ""
    needs: str = ""

    @property
    def code(self) -> str:
        """The program itself."""
        return (FOLDER / f"{self.name}.txt").read_text()


@dataclass(frozen=True)
class Row:
    """One line of the audit's table."""

    name: str
    kind: str
    expected: str
    got: Status
    ok: bool
    seconds: float


def exploits() -> list[Exploit]:
    """The set that ships, without programs that need a library which is not installed."""
    decoder = msgspec.json.Decoder(Exploit)
    found = [decoder.decode(line) for line in (FOLDER / "exploits.jsonl").read_text().splitlines()]
    return [exploit for exploit in found if not exploit.needs or find_spec(exploit.needs)]


def audit(sandbox: Sandbox) -> list[Row]:
    """Run every exploit alone, one after the other; an outcome `infra` is never the right one."""
    rows = []
    for exploit in exploits():
        program = Program(id=exploit.name, code=exploit.code, tests=exploit.tests, setup=exploit.setup, limits=LIMITS)
        started = time.perf_counter()
        status = sandbox.run(program).status
        ok = status != "infra" and (status == "pass") == (exploit.expected == "pass")
        seconds = time.perf_counter() - started
        rows.append(Row(exploit.name, exploit.kind, exploit.expected, status, ok, seconds))
    return rows
