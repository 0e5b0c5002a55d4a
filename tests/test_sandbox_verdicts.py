"""Every status, both tiers, and every form in which tests arrive."""

from __future__ import annotations

import threading

import pytest

from proact.errors import SandboxError, UsageError
from proact.sandbox import Limits, Program, Result, Sandbox, run, run_many
from proact.sandbox.inside import jail

GOOD = "def f(x):\n    return x * x\n"
LIMITS = Limits(cpu_seconds=1.0, memory_mb=256)


def judged(sandbox: Sandbox, code: str | None, *tests: str, setup: str = "") -> Result:
    return sandbox.run(Program(id="p", code=code, tests=tests, setup=setup, limits=LIMITS))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (GOOD, "pass"),
        ("def f(x): return x", "fail"),
        ("def g(x): return x", "fail"),
        ("def f(x): raise ValueError(x)", "fail"),
        ("def f(x):\n    while True: pass", "timeout"),
        ("import time\ndef f(x): time.sleep(60)", "timeout"),
        ("def f(x): return [0] * 10**10", "memory"),
        ("import os\ndef f(x): os.abort()", "crash"),
        ("import os\nos._exit(0)", "crash"),
        ("def f(x) return x", "load_error"),
        ("raise RuntimeError", "load_error"),
        ("def f(x): return x * x\n\0", "load_error"),
        ("def f(x): return '\ud800'", "load_error"),
        ("#" * 300_000 + "\n" + GOOD, "load_error"),
        (None, "no_answer"),
    ],
)
def test_statuses(sandbox: Sandbox, code: str | None, status: str) -> None:
    assert judged(sandbox, code, "assert f(3) == 9", "assert f(4) == 16").status == status


@pytest.mark.parametrize(
    ("setup", "code", "status"),
    [
        ("import math\nimport nothere", GOOD, "infra"),
        ("import nothere", "raise RuntimeError", "infra"),
        ("from math import nothere", GOOD, "infra"),
        ("import math", "raise RuntimeError", "load_error"),
        ("from candidate import g", GOOD, "load_error"),
        ("twice = 2 * g(1)", GOOD, "load_error"),
    ],
)
def test_a_setup_that_cannot_run_here_says_nothing_of_a_candidate(
    sandbox: Sandbox, setup: str, code: str, status: str
) -> None:
    result = judged(sandbox, code, "assert f(3) == 9", setup=setup)
    assert result.status == status, result.message
    assert ("the setup cannot run here: " in result.message and "nothere" in result.message) == (status == "infra")


def test_each_statement_is_a_test(sandbox: Sandbox) -> None:
    result = judged(sandbox, GOOD, "assert f(3) == 9", "assert f(3) == 8", "assert f(2) == 4")
    assert (result.passed, result.status, result.tier) == ((True, False, True), "fail", "split")
    assert {"landlock", "seccomp", "rlimits"} <= {layer.partition("-")[0] for layer in result.layers}
    assert result.cpu_seconds > 0


def test_tests_before_the_end_of_a_program_count(sandbox: Sandbox) -> None:
    code = "import os\ndef f(x):\n    if x == 2: os._exit(0)\n    return x * x"
    assert judged(sandbox, code, "assert f(3) == 9", "assert f(2) == 4", "assert f(1) == 1").passed == (
        True,
        False,
        False,
    )


@pytest.mark.parametrize(
    "tests",
    [
        ("def check(candidate):\n    assert candidate(1) == 1\n",),
        ("def run_tests():\n    assert f(1) == 1",),
        ("class T:\n    def test_one(self):\n        assert f(1) == 1",),
        ("if False:\n    assert f(1) == 1",),
        ("def test_one():\n    f(1) == 1",),
        ("   ",),
        ("# nothing",),
        ("x = f(1)",),
        ("f(1)", "f(2)"),
        ("f(1) == 1",),
        ("all(f(x) == x for x in [1])",),
    ],
)
def test_tests_that_check_nothing_are_no_tests(sandbox: Sandbox, tests: tuple[str, ...]) -> None:
    """Whatever the answer is, they pass."""
    result = judged(sandbox, "def f(x):\n    return 'wrong'", *tests)
    assert (result.status, result.message) == ("infra", "the tests check nothing: no assert in them is ever run")


def test_a_comparison_among_asserts_is_named(sandbox: Sandbox) -> None:
    result = judged(sandbox, GOOD, "assert f(1) == 1", "f(2) == 4")
    assert (result.status, result.message) == ("infra", "tests[1] compares and asserts nothing")


@pytest.mark.parametrize(
    "tests",
    [
        ("import unittest\nunittest.TestCase().assertEqual(f(3), 9)",),
        ("def check():\n    assert f(3) == 9\n\ndef all_of_it():\n    check()\n\nall_of_it()",),
        ("if f(3) != 9:\n    raise ValueError",),
        ("f(3)", "assert f(3) == 9"),
    ],
)
def test_what_asserts_is_a_test(sandbox: Sandbox, tests: tuple[str, ...]) -> None:
    assert judged(sandbox, GOOD, *tests).passed == (True,)
    assert judged(sandbox, "def f(x):\n    return 8", *tests).passed == (False,)


def test_one_source_of_asserts(sandbox: Sandbox) -> None:
    helper = "import math\nhalf = 0.5\ndef near(a, b): return math.isclose(a, b)\n"
    source = helper + "assert near(f(half), 0.25)\nassert f(3) == 8"
    assert judged(sandbox, GOOD, source).passed == (True, False)


CHECK = """
METADATA = {'author': 'x'}


def check(candidate):
    assert candidate(3) == 9
    assert candidate(2) == 5
    for x in range(5):
        assert candidate(x) == x * x, 'message'


check(f)
"""


def test_humaneval_check(sandbox: Sandbox) -> None:
    result = judged(sandbox, GOOD, CHECK)
    assert (result.passed, result.tier) == ((True, False, True), "split")
    parted = CHECK.removesuffix("check(f)\n")
    assert judged(sandbox, GOOD, parted, "check(f)").passed == (True, False, True)


UNITTEST = (
    "import unittest\n\nclass TestF(unittest.TestCase):\n    def setUp(self):\n        self.x = 3\n\n"
    "    def test_three(self):\n        self.assertEqual(f(self.x), 9)\n\n"
    "    def test_two(self):\n        self.assertEqual(f(2), 5)\n\nif __name__ == '__main__':\n    unittest.main()\n"
)
FUNCTIONS = """
def helper():
    return 3

def test_three():
    assert f(helper()) == 9

def test_two():
    assert f(2) == 5
"""
HOLDER = """
class TestF:
    def test_three(self):
        assert f(3) == 9

    def test_two(self):
        assert f(2) == 5
"""
PARAMETRIZED = """
import pytest

@pytest.mark.parametrize('x, y', [(3, 9), (2, {})])
def test_f(x, y):
    assert f(x) == y
"""
NODE = """
class Node:
    def __init__(self, v):
        self.v, self.next = v, None

def total(n):
    return n.v + (total(n.next) if n.next else 0)
"""
STACK = """
class Stack:
    def __init__(self):
        self.items = []

    def push(self, x):
        self.items.append(x)

    def pop(self):
        return self.items.pop()

    def __len__(self):
        return len(self.items)
"""
LITTER = """
import os

def f():
    left = os.listdir('.')
    os.makedirs('a/b')
    open('a/b/c', 'w').close()
    os.chmod('a', 0)
    return left
"""


@pytest.mark.parametrize("source", [UNITTEST, FUNCTIONS, HOLDER])
def test_in_process_tests(sandbox: Sandbox, source: str) -> None:
    result = judged(sandbox, GOOD, source)
    assert (result.passed, result.status, result.tier) == ((True, False), "fail", "in-process")
    assert judged(sandbox, GOOD, source.replace("5)", "4)").replace("== 5", "== 4")).status == "pass"


def test_parametrized_functions(sandbox: Sandbox) -> None:
    assert judged(sandbox, GOOD, PARAMETRIZED.format(4)).status == "pass"
    assert judged(sandbox, GOOD, PARAMETRIZED.format(5)).status == "fail"


def test_a_flagged_pass_in_process_is_suspect(sandbox: Sandbox) -> None:
    result = judged(sandbox, "import gc\n" + GOOD, FUNCTIONS.replace("5", "4"))
    assert (result.status, result.passed) == ("suspect", (True, True))
    assert "gc" in result.message


def test_the_screen_does_not_look_at_split_programs(sandbox: Sandbox) -> None:
    assert judged(sandbox, "import gc, sys\n" + GOOD, "assert f(3) == 9").status == "pass"


def test_setup_runs_between_candidate_and_tests(sandbox: Sandbox) -> None:
    setup = "import math\nroot = Node(1)\nroot.next = Node(2)"
    result = judged(sandbox, NODE, "assert total(root) == 3", "assert total(Node(math.floor(5.5))) == 5", setup=setup)
    assert (result.status, result.tier) == ("pass", "split")


def test_objects_stay_with_the_candidate(sandbox: Sandbox) -> None:
    source = "s = Stack()\ns.push(1)\ns.push(2)\nassert len(s) == 2\nassert s.pop() == 2\nassert s.items == [1]"
    assert judged(sandbox, STACK, source).passed == (True, True, True)


def test_tests_that_cannot_be_run_say_nothing_about_the_candidate(sandbox: Sandbox) -> None:
    assert judged(sandbox, GOOD, "assert f(3) ==").status == "infra"
    assert judged(sandbox, GOOD, "import no_such_module\nassert f(3) == 9").status == "infra"


def test_the_next_program_finds_nothing_of_the_last(sandbox: Sandbox) -> None:
    for _ in range(4):
        assert judged(sandbox, LITTER, "assert f() == []").status == "pass"


def test_results_come_in_order_and_from_many_threads(sandbox: Sandbox) -> None:
    programs = [Program(id=str(n), code=f"def f(): return {n}", tests=(f"assert f() == {n}",)) for n in range(100)]
    assert [(r.id, r.status) for r in sandbox.run_many(programs)] == [(str(n), "pass") for n in range(100)]
    results: list[Result] = []
    threads = [threading.Thread(target=lambda p=p: results.append(sandbox.run(p))) for p in programs[:20]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {r.id for r in results if r.status == "pass"} == {str(n) for n in range(20)}


def test_module_functions_and_closing() -> None:
    program = Program(id="a", code=GOOD, tests=("assert f(3) == 9",))
    assert run(program).status == "pass"
    assert [r.status for r in run_many([program, program], workers=1)] == ["pass", "pass"]
    sandbox = Sandbox(1)
    sandbox.close()
    with pytest.raises(SandboxError):
        sandbox.run(program)


def test_without_confinement_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jail, "missing", lambda: ["Landlock", "seccomp"])
    with pytest.raises(UsageError, match="no Landlock and no seccomp; isolation 'rlimits'"):
        Sandbox(1)
    with Sandbox(1, isolation="rlimits") as sandbox:
        result = sandbox.run(Program(id="a", code=GOOD, tests=("assert f(3) == 9",)))
    assert (result.status, result.layers) == ("pass", ("rlimits",))
    with pytest.raises(UsageError, match="choose one of auto, jail, rlimits"):
        Sandbox(1, isolation="none")  # type: ignore[arg-type]


STATEFUL = """
import random
random.seed(1)
first = f(0)
random.seed(1)
assert f(0) == first
"""
COUNTING = """
def test_counts():
    assert f(0) == 1

def test_counts_on():
    assert f(0) == 2
"""


def test_tests_that_depend_on_what_ran_before_are_not_taken_for_forged(sandbox: Sandbox) -> None:
    assert judged(sandbox, "import random\ndef f(x): return random.random()", STATEFUL).status == "pass"
    counter = "calls = []\ndef f(x):\n    calls.append(x)\n    return len(calls)"
    assert judged(sandbox, counter, COUNTING).status == "pass"


def test_a_reply_over_the_limit_is_a_failed_test(sandbox: Sandbox) -> None:
    result = judged(
        sandbox, "def f(x): return 'x' * (20 << 20 if x else 1)", "assert f(0) == 'x'", "assert f(1) == 'x'"
    )
    assert (result.status, result.passed) == ("fail", (True, False))
    assert "longer than the limit" in result.message


def test_library_values_keep_their_kind(sandbox: Sandbox) -> None:
    pytest.importorskip("numpy")
    code = "import numpy as np\ndef f(n): return np.arange(n) * 1.0\ndef g(n): return np.int64(n)"
    test = "import numpy as np\nassert np.allclose(f(3), [0, 1, 2])\nassert g(3) == 3 and type(g(3)) is int"
    assert judged(sandbox, code, test).passed == (True, True)
