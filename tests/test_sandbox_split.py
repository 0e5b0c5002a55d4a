"""How tests are divided between judge and candidate, and what can cross."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import json
import math
from typing import Any

import pytest

from proact.sandbox.inside.codec import Decoder, Encoder, Undecodable
from proact.sandbox.inside.split import plan
from proact.sandbox.inside.syscalls import NUMBERS


@pytest.mark.parametrize(
    "tests",
    [
        ("assert f(1) == 2",),
        ("assert sum(10, 15) == 6",),
        ("assert f((1, 2)) == sys.getsizeof((1, 2))",),
        ("assert isinstance(f(1), int) and type(f(2)) == list",),
        ("try:\n    f(1)\nexcept ValueError:\n    pass\nelse:\n    assert False",),
        ("def check(candidate):\n    for i in range(3):\n        assert candidate(i) == other(i)\ncheck(f)",),
        ("import random\nrng = random.Random(1)\nassert f(rng.random()) < 1",),
        ("s = Stack()\ns.push(1)\nassert s.pop() == 1",),
        ("assert list(map(f, [1])) == [1]",),
    ],
)
def test_split(tests: tuple[str, ...]) -> None:
    made = plan(tests, "")
    assert (made.tier, made.error) == ("split", "")
    assert made.count > 0


@pytest.mark.parametrize(
    "tests",
    [
        ("import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertTrue(f(1))",),
        ("def test_f():\n    assert f(1)",),
        ("from unittest.mock import patch\nwith patch('candidate.g'):\n    assert f(1) == 1",),
        ("assert f(lambda x: x) == 1",),
        ("def g(x): return x\nassert f(g) == 1",),
        ("assert isinstance(f(1), Node)",),
        ("try:\n    f(1)\nexcept Special:\n    pass\nelse:\n    assert False",),
        ("class Sub(Base):\n    pass\nassert f(Sub()) == 1",),
        ("import random\nrandom.seed(1)\nassert f() == 3",),
        ("import io, sys\nsys.stdout = io.StringIO()\nf()\nassert sys.stdout.getvalue() == 'x'",),
        ("assert f is f",),
        ("assert f.__name__ == 'f'",),
        ("assert hasattr(f(1), '__iter__')",),
    ],
)
def test_in_process(tests: tuple[str, ...]) -> None:
    made = plan(tests, "")
    assert (made.tier, made.error) == ("in-process", "")
    assert made.count == 1


def test_the_judge_keeps_its_own_builtins_and_modules() -> None:
    made = plan(("assert set([f(1)]) == set([2]) and abs(f(1) - 2) < 1 and math.isclose(f(1), 2)",), "")
    assert made.called == {"f"}
    assert made.modules == {"math"}


VALUES: list[Any] = [
    *(None, True, 0, -5, 2**200, 1.5, -0.0, math.inf, "a\ud800", b"\x00\xff", bytearray(b"x"), 1 + 2j, range(2, 9, 3)),
    *([1, [2, ()]], (1, (2,)), {1, 2}, frozenset({"a"}), {"a": {1: (2,)}, (1, 2): None}, collections.deque([1])),
    *(collections.Counter("aab"), collections.OrderedDict(a=1), decimal.Decimal("1.10"), fractions.Fraction(1, 3)),
    *(datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3), datetime.timedelta(days=2)),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_cross_unchanged(value: Any) -> None:
    crossed = Decoder({}).decode(json.loads(json.dumps(Encoder(lambda thing: {"h": 0}).encode(value))))
    assert (type(crossed), repr(crossed)) == (type(value), repr(value))


def test_a_subclass_leaves_its_methods_behind() -> None:
    class Yes(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    crossed = Decoder({}).decode(Encoder(lambda thing: {"h": 0}).encode([Yes(3)]))
    assert type(crossed[0]) is int
    assert crossed != [4]


@pytest.mark.parametrize(
    "data",
    [
        {"s": [{"i": hex(n * ((1 << 61) - 1))} for n in range(100)]},
        {"s": [[1]]},
        {"zz": 1},
        {"i": "x", "t": []},
        {"i": "nonsense"},
        {"n": ["__import__('os')", ["a b"], [1]]},
        {"F": ["0x1", "0x0"]},
    ],
)
def test_hostile_data_is_refused(data: Any) -> None:
    with pytest.raises(Undecodable):
        Decoder({}).decode(data)


def test_numbers_for_both_processors() -> None:
    for known, x86, arm in (("ptrace", 101, 117), ("socket", 41, 198), ("execve", 59, 221), ("prlimit64", 302, 261)):
        assert NUMBERS[known] == (x86, arm)
    for column in (0, 1):
        present = [numbers[column] for numbers in NUMBERS.values() if numbers[column] is not None]
        assert len(present) == len(set(present))
