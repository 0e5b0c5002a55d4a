"""One program on trial: what the judge asks of its child, and the outcome."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from .canary import Mixed, mixed
from .codec import Json
from .remote import Ended, Line, Remote, Unsendable
from .split import IN_PROCESS, Plan
from .words import told

SIGNAL_XCPU, SIGNAL_KILL = 24, 9


@dataclass
class Outcome:
    """What is said of one program; `again` asks for another run, alone."""

    status: str
    passed: list[bool]
    tier: str = ""
    message: str = ""
    cpu: float = 0.0
    again: bool = False
    confirmed: bool = True

    def data(self) -> dict[str, Json]:
        """As sent to the caller."""
        return asdict(self)


def judged(line: Line, plan: Plan, code: str, setup: str, *, batch: bool) -> Outcome:
    """Load the candidate and run its tests; a program that ended early has the status `gone` until its end is known."""
    none = [False] * plan.count
    try:
        screened = line.request(op="screen", code=code) if plan.tier == IN_PROCESS else {}
        loaded = line.request(op="load", code=code, setup=setup, batch=batch)
        if batch and "odd" in loaded:
            return Outcome("infra", none, plan.tier, str(loaded["odd"]), again=True)
        if "x" in loaded:
            error = line.raised(loaded["x"])
            if line.ended:
                raise Ended
            status = "memory" if line.out_of_memory else "load_error"
            return Outcome(status, none, plan.tier, told(error))
        if "v" not in loaded:
            raise line.refuse("neither loaded nor failed")
        if plan.tier == IN_PROCESS:
            return _in_process(line, plan, screened.get("v", ["a source that cannot be screened"]))
        return _split(line, plan)
    except Ended:
        return Outcome("tampered" if line.tampered else "gone", none, plan.tier, line.tampered)


def _split(line: Line, plan: Plan) -> Outcome:
    """Run the steps here, with stand-ins for the candidate's names."""
    line.track = plan.track
    namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
    broken = _prepare(line, plan, namespace)
    message = ""
    passed: list[bool] = []
    for step in plan.steps:
        problem = broken or _attempt(lambda code=step.code: exec(code, namespace))  # type: ignore[misc]
        message = message or problem
        if step.is_test:
            passed.append(not problem and not line.ended)
        else:
            broken = problem
    if line.ended:
        return Outcome("tampered" if line.tampered else "gone", passed, plan.tier, line.tampered)
    if all(passed):
        return Outcome("pass", passed, plan.tier)
    return Outcome("memory" if line.out_of_memory else "fail", passed, plan.tier, message)


def _prepare(line: Line, plan: Plan, namespace: dict[str, Any]) -> str:
    """Fill the tests' namespace; what went wrong, empty when nothing did."""
    for name in plan.modules:
        namespace[name] = importlib.import_module(name)
    if plan.setup is not None and (problem := _attempt(lambda: exec(plan.setup, namespace))):  # type: ignore[arg-type]
        return problem
    for name in plan.called:
        namespace[name] = Remote(line, {"r": name})
    for name in plan.fetched:
        _attempt(lambda name=name: namespace.update({name: line.ask("get", {"r": name}, [])}))  # type: ignore[misc]
    return ""


def _attempt(step: Callable[[], object]) -> str:
    """Run one step; what went wrong, empty when nothing did."""
    try:
        step()
    except Ended:
        return "no answer"
    except Unsendable:
        raise
    except BaseException as error:  # noqa: BLE001  whatever a test raises is its failure
        return told(error)
    return ""


def _in_process(line: Line, plan: Plan, suspicions: Json) -> Outcome:
    """Have the child run the steps, and believe it only if everything that must fail did."""
    made = mixed(plan)
    passed, messages, changed = _report(line, plan, made)
    results = [passed[token] for token in made.tests]
    unprepared = [token for token in made.silent if not passed[token]]
    first = next((messages.get(t, "") for t in (*unprepared, *made.tests) if not passed[t]), "")
    if unprepared:
        return Outcome("fail", [False] * plan.count, plan.tier, first)
    if changed:
        return Outcome("tampered", [False] * plan.count, plan.tier, f"changed {', '.join(changed)[:200]}")
    if all(results) and made.betrayed(passed):
        return Outcome("tampered", [False] * plan.count, plan.tier, "a test that must fail passed")
    if not all(results):
        return Outcome("fail", results, plan.tier, first)
    if suspicions:
        return Outcome("suspect", results, plan.tier, ", ".join(map(str, suspicions))[:300])
    return Outcome("pass", results, plan.tier)


def _report(line: Line, plan: Plan, made: Mixed) -> tuple[dict[str, bool], dict[str, str], list[str]]:
    """What the child says of the steps, if it says something of each."""
    reply = line.request(op="tests", plan={"steps": made.steps, "restore": list(plan.restore)})
    match reply.get("v"):
        case {"passed": dict(passed), "messages": dict(messages), "changed": list(changed)} if (
            passed.keys() == {token for token, _, _ in made.steps}
            and {*map(type, passed.values())} <= {bool}
            and {*map(type, messages.values()), *map(type, changed)} <= {str}
        ):
            return passed, messages, changed
    raise line.refuse("a report that does not match the tests")


def ended(outcome: Outcome, report: dict[str, Json], refused: Callable[[], bool]) -> Outcome:
    """Say why a program that gave no more answers ended, from the zygote's report."""
    reason, signal, cpu = report["reason"], report["signal"], report["cpu"]
    if reason in ("cpu", "idle", "wall") or signal == SIGNAL_XCPU:
        outcome.status, outcome.confirmed = "timeout", reason != "wall"
        outcome.message = f"stopped after {cpu:.1f} s of CPU time ({reason or 'limit'})"
    elif reason == "mute":
        outcome.status, outcome.message = "crash", "hung up and went on"
    elif reason == "disk":
        outcome.status, outcome.message = "crash", "wrote more to disk than allowed"
    elif signal == SIGNAL_KILL and not refused():
        outcome.status, outcome.message, outcome.again = "infra", "the program was killed from outside", True
    elif signal:
        outcome.status, outcome.message = "crash", f"ended by signal {signal}"
    else:
        outcome.status, outcome.message = "crash", f"ended without an answer, exit code {report['code']}"
    return outcome
