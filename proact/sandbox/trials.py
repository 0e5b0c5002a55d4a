"""A program's way to its result: what the sandbox's processes answer becomes results, or another attempt."""

from __future__ import annotations

import json
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from proact.errors import SandboxError
from proact.parsing import mended
from proact.sandbox.inside.supervisor import DONE, OVERRUN, REFUSED
from proact.sandbox.link import Answer
from proact.sandbox.program import Program, Result

if TYPE_CHECKING:
    from proact.sandbox.sandbox import Sandbox

MAX_SOURCE_BYTES = 256 * 1024
ATTEMPTS = 3


class Trial:
    """One program's way to its result: in a batch first, alone when anything was odd, again when something broke."""

    def __init__(self, sandbox: Sandbox, program: Program) -> None:
        self.sandbox, self.program = sandbox, program
        self.future: Future[Result] = Future()
        self._attempts = 0

    def settled_at_once(self) -> bool:
        """Whether there is a result without running anything."""
        result = self.sandbox.known(self.program) if self.program.code is not None else self._unanswered()
        if result is not None:
            self.future.set_result(result)
        return result is not None

    def description(self) -> dict[str, object]:
        """The program as the judge gets it; a source that would not be run is not sent."""
        code = self.program.code or ""
        refused = refusal(code)
        setup, tests = self.program.setup, self.program.tests
        return {"code": "" if refused else code, "refused": refused, "setup": setup, "tests": tests}

    def settle(self, outcome: dict[str, object], layers: tuple[str, ...]) -> None:
        """Take an outcome that is final, or try again alone."""
        confirmed = bool(outcome.pop("confirmed"))
        again = bool(outcome.pop("again"))
        cpu = outcome.pop("cpu")
        result = msgspec.convert(
            {**outcome, "id": self.program.id, "layers": layers, "cpu_seconds": cpu}, Result, strict=False
        )
        if again or (result.status == "timeout" and not confirmed and self._attempts == 0):
            self.again(result)
            return
        if result.status != "infra" and confirmed:
            self.sandbox.keep(self.program, result)
        self.future.set_result(result)

    def again(self, last: Result) -> None:
        """Run alone; after the last attempt the program is left without a verdict."""
        self._attempts += 1
        if self._attempts > ATTEMPTS:
            self.future.set_result(last)
            return
        self.sandbox.submit([self], batch=False)

    def unfinished(self, kind: bytes, *, batch: bool) -> None:
        """Take it that a job came to no outcome."""
        if kind == REFUSED:
            self.future.set_exception(SandboxError("the sandbox's processes end as soon as they start"))
        elif kind == OVERRUN and not batch:
            message = "the tests ran out of CPU time while they looked at the replies"
            self.future.set_result(Result(id=self.program.id, status="timeout", message=message))
        else:
            self.again(self.broken("a process of the sandbox was lost"))

    def broken(self, message: str) -> Result:
        """The result of a run that the sandbox itself did not finish."""
        return Result(id=self.program.id, status="infra", message=message)

    def _unanswered(self) -> Result:
        passed = (False,) * len(self.program.tests)
        return Result(id=self.program.id, status="no_answer", passed=passed, message="the answer holds no code")


class Reported:
    """While open, what goes wrong is raised where these results are waited for: the thread that it happens in answers
    every other program too, and must go on."""

    def __init__(self, trials: list[Trial]) -> None:
        self._trials = trials

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for trial in self._trials if error else []:
            if not trial.future.done():
                trial.future.set_exception(error)
        return True


def settle_all(trials: list[Trial], answer: Answer, *, batch: bool) -> None:
    """Give every program of a job its part of the answer."""
    if answer.kind == DONE:
        with Reported(trials):
            reply = mended(json.loads(answer.payload))
            layers = tuple(reply["layers"])
            for trial, outcome in list(zip(trials, reply["outcomes"], strict=True)):
                with Reported([trial]):
                    trial.settle(outcome, layers)
        return
    for trial in trials:
        with Reported([trial]):
            trial.unfinished(answer.kind, batch=batch)


def refusal(code: str) -> str:
    """Why a source is not worth a process, empty when it is."""
    if "\0" in code:
        return "the source holds a NUL byte"
    if len(code) > MAX_SOURCE_BYTES:
        return "the source is longer than 256 KB"
    try:
        size = len(code.encode())
    except UnicodeEncodeError:
        return "the source holds a lone surrogate"
    return "the source is longer than 256 KB" if size > MAX_SOURCE_BYTES else ""
