"""Tests that must fail, mixed at random into in-process tests: whatever makes every test pass makes these pass too."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from .split import Plan
from .spoil import spoiled

FALSE_BODIES = (
    "assert {a} == {b}",
    "assert not {a} == {a}",
    "assert {a} > {c}",
    "assert [{a}] == [{b}]",
    "assert ({a}, 0) == ({b}, 0)",
    "raise AssertionError({a})",
)
FALSE_METHODS = (
    "self.assertEqual({a}, {b})",
    "self.assertTrue({a} == {b})",
    "self.assertFalse({a} == {a})",
    "self.assertIn({a}, [{b}])",
    "self.assertAlmostEqual({a}, {c})",
    "self.assertListEqual([{a}], [{b}])",
    "self.fail({a})",
)
EACH = 2


@dataclass
class Mixed:
    """Steps under random tokens, and which tokens must pass, must fail and carry a test."""

    steps: list[tuple[str, str, str]] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    must_fail: list[str] = field(default_factory=list)
    copies: list[tuple[str, list[str]]] = field(default_factory=list)

    def betrayed(self, passed: dict[str, bool]) -> bool:
        """Whether something passed that must fail."""
        spoiled = [token for again, copies in self.copies if passed[again] for token in copies]
        return any(passed[token] for token in (*self.must_fail, *spoiled))

    def add(self, kind: str, source: str, kept: list[str]) -> None:
        """Append one step."""
        token = secrets.token_hex(8)
        self.steps.append((token, kind, source))
        kept.append(token)


def mixed(plan: Plan) -> Mixed:
    """The steps of a plan in their order with must-fail steps between and behind them."""
    randomly = secrets.SystemRandom()
    made = Mixed()
    fails = [_constant(randomly, method=any(step.kind == "method" for step in plan.steps)) for _ in range(EACH)]
    for definition, _, _ in fails:
        made.add("run", definition, made.silent)
    places = sorted(randomly.randrange(len(plan.steps) + 1) for _ in fails)
    for position, step in enumerate((*plan.steps, None)):
        for place, (_, kind, name) in zip(places, fails, strict=True):
            if place == position:
                made.add(kind, name, made.must_fail)
        if step is not None:
            made.add(step.kind, step.source, made.tests if step.is_test else made.silent)
    for (_, kind, name), copies in spoiled(plan, randomly):
        again: list[str] = []
        made.add(kind, name, again)
        fallen: list[str] = []
        for definition, copied_kind, copied in copies:
            if definition:
                made.add("run", definition, made.silent)
            made.add(copied_kind, copied, fallen)
        made.copies.append((again[0], fallen))
    return made


def _constant(randomly: secrets.SystemRandom, *, method: bool) -> tuple[str, str, str]:
    """A test of its own that fails: its definition, its kind and its name."""
    name = f"test_{randomly.choice('abcdefghklmnprst')}{secrets.token_hex(4)}"
    a, b, c = (randomly.randrange(low, low + 900) for low in (0, 1000, 2000))
    if not method:
        return f"def {name}():\n    {randomly.choice(FALSE_BODIES).format(a=a, b=b, c=c)}\n", "call", name
    holder = f"Test{secrets.token_hex(4).title()}"
    body = randomly.choice(FALSE_METHODS).format(a=a, b=b, c=c)
    source = f"import unittest\nclass {holder}(unittest.TestCase):\n    def {name}(self):\n        {body}\n"
    return source, "method", f"{holder}.{name}"
