"""Replies that no honest child gives: a program that forges one, hides or cannot be shown has failed, not vanished."""

from __future__ import annotations

import pytest

from proact.sandbox import Limits, Program, Sandbox

LIMITS = Limits(cpu_seconds=1.0)
FORGE = """
import json, os, sys

def say(**reply):
    frame = sys._getframe()
    while "request" not in frame.f_locals or "frames" not in frame.f_locals:
        frame = frame.f_back
    frame.f_locals["frames"].write(json.dumps({"id": frame.f_locals["request"]["id"], **reply}).encode())
    os._exit(0)

def tokens(passed):
    frame = sys._getframe()
    while "request" not in frame.f_locals or "frames" not in frame.f_locals:
        frame = frame.f_back
    return {step[0]: passed for step in frame.f_locals["request"]["plan"]["steps"]}
"""


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize(
    "reply",
    [
        "odd='uses input'",
        "",
        "x=[{'ValueError': 1}, 't']",
        "x=[['ValueError', {}], 't']",
        "x=[['ValueError'], {}]",
        "x=[[], 't']",
        "x=[['NoSuchError'], 't']",
        "x=5",
        "w=None",
    ],
)
def test_a_forged_answer_to_the_loading(sandbox: Sandbox, reply: str, batch: bool) -> None:
    program = Program(id="a", code=f"{FORGE}\nsay({reply})", tests=("assert f(1) == 1",), limits=LIMITS)
    results = list(sandbox.run_many([program, program])) if batch else [sandbox.run(program)]
    assert [(result.status, result.passed) for result in results] == [("tampered", (False,))] * len(results)


@pytest.mark.parametrize(
    "report",
    [
        "dict(passed=tokens(True), changed=5, messages={})",
        "dict(passed=tokens(False), changed=[], messages=[])",
        "dict(passed=tokens(False), changed=[5], messages={})",
        "dict(passed=tokens(False), changed=[], messages=dict.fromkeys(tokens(1), {}))",
        "dict(passed=tokens(1), changed=[], messages={})",
        "dict(passed={}, changed=[], messages={})",
        "dict(passed=tokens(True))",
        "[]",
    ],
)
def test_a_forged_report_of_tests_in_process(sandbox: Sandbox, report: str) -> None:
    code = f"{FORGE}\ndef f(x): say(v={report})"
    result = sandbox.run(Program(id="a", code=code, tests=("import io\nassert f(1) == 1",), limits=LIMITS))
    assert (result.tier, result.status, result.passed) == ("in-process", "tampered", (False,))


def test_hanging_up_is_a_crash(sandbox: Sandbox) -> None:
    code = "import os, time\ndef f(x):\n    os.close(3)\n    time.sleep(60)"
    result = sandbox.run(Program(id="a", code=code, tests=("assert f(1) == 1",), limits=LIMITS))
    assert (result.status, result.message) == ("crash", "hung up and went on")


HIDDEN = "class A:\n    def __repr__(self): raise ValueError\ndef f(x): return A()"


@pytest.mark.parametrize("code", [HIDDEN, "def f(x): return 10 ** 5000"])
@pytest.mark.parametrize("test", ["assert f(1) == 1, f(2)", "assert {1: 1}[f(1)]", "import io\nassert f(1) == 1, f(2)"])
def test_what_cannot_be_shown_is_a_failed_test(sandbox: Sandbox, code: str, test: str) -> None:
    result = sandbox.run(Program(id="a", code=code, tests=(test, "assert 1 == 1 or f(1)"), limits=LIMITS))
    assert (result.status, result.passed) == ("fail", (False, True))


def test_a_deep_value_does_not_choose_the_tier(sandbox: Sandbox) -> None:
    code = "def f(x):\n    for _ in range(1000): x = [x]\n    return x\ndef g(x): return 1"
    result = sandbox.run(Program(id="a", code=code, tests=("assert g(f(1)) == 1",), limits=LIMITS))
    assert (result.tier, result.status) == ("split", "fail")
    assert "nested too deeply" in result.message
