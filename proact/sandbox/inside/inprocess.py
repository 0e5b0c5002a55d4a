"""Runs tests in the candidate's own process, for tasks whose tests cannot be split from it.

What this cannot promise: code in the same address space can, with enough effort, read the tests that it is being run
against. The must-fail tests mixed in, the snapshot and the screen make that hard and visible, not impossible.
"""

from __future__ import annotations

import _thread
import builtins
import math
import operator
import sys
from collections.abc import Mapping
from typing import Any

from .codec import Json
from .words import told

WATCHED_MODULES = (builtins, math, operator)
WATCHED_CLASSES = (("unittest.case", "TestCase"), ("unittest.result", "TestResult"), ("unittest.suite", "TestSuite"))


class Snapshot:
    """What tests rely on, by identity, so that a replaced function shows."""

    def __init__(self, watched: tuple[Mapping[str, object], ...]) -> None:
        self._watched = tuple((names, dict(names)) for names in watched)
        self._threads = _thread._count()

    @classmethod
    def now(cls) -> Snapshot:
        """The state before the candidate is loaded."""
        import unittest

        classes = [vars(getattr(sys.modules[module], name)) for module, name in WATCHED_CLASSES]
        return cls((*(vars(module) for module in WATCHED_MODULES), *classes, vars(unittest)))

    def changes(self) -> list[str]:
        """The names that are bound to something else now, and what else should not be there."""
        found = {
            name
            for now, before in self._watched
            for name in before
            if now.get(name) is not before[name] and name not in ("_", "__warningregistry__")
        }
        found |= {"trace"} if sys.gettrace() or sys.getprofile() else set()
        return sorted(found | ({"threads"} if _thread._count() > self._threads else set()))


def run(namespace: dict[str, Any], plan: Json, before: Snapshot) -> Json:
    """Run every step in order; says what passed by token, why the others did not, and what was changed."""
    passed: dict[str, bool] = {}
    messages: dict[str, str] = {}
    changed: set[str] = set()
    for name in plan["restore"]:
        namespace[name] = getattr(builtins, name)
    for token, kind, source in plan["steps"]:
        message = ""
        try:
            _step(namespace, kind, source)
        except BaseException as error:  # noqa: BLE001  a test may end in anything, and all of it is reported
            message = told(error)
        passed[token] = not message
        if message:
            messages[token] = message
        changed.update(before.changes())
    return {"passed": passed, "messages": messages, "changed": sorted(changed)}


def _step(namespace: dict[str, Any], kind: str, source: str) -> None:
    if kind == "run":
        exec(compile(source, "<tests>", "exec", dont_inherit=True), namespace)
    elif kind == "call":
        _call(namespace[source])
    elif "." in source:
        _method(namespace, *source.split("."))


def _method(namespace: dict[str, Any], class_name: str, name: str) -> None:
    import unittest

    cls = namespace[class_name]
    if not issubclass(cls, unittest.TestCase):
        holder = cls()
        getattr(holder, "setup_method", lambda _: None)(getattr(holder, name))
        _call(getattr(holder, name))
        return
    result = unittest.TestResult()
    unittest.TestSuite([cls(name)]).run(result)
    if result.testsRun != 1 or result.skipped or result.expectedFailures or not result.wasSuccessful():
        problems = [text.strip().splitlines()[-1] for _, text in result.failures + result.errors]
        raise AssertionError(problems[0] if problems else "not run")


def _call(function: Any) -> None:
    """Call a test function, once per set of parameters where pytest's mark gives some."""
    calls: list[dict[str, Any]] = [{}]
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize":
            names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
            rows = [_row(row, len(names)) for row in mark.args[1]]
            calls = [call | dict(zip(map(str.strip, names), row, strict=True)) for call in calls for row in rows]
    for call in calls:
        function(**call)


def _row(row: Any, width: int) -> Any:
    if type(row).__name__ == "ParameterSet":
        return row.values
    return row if width > 1 else (row,)
