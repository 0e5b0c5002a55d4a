"""Whether the best policy is constant: then there is nothing to learn about when to ask.

Without replicates, luck and a real difference between states look the same, so a policy counts as constant only when
no decision at all prefers the other action. With replicates the spread of the true differences between states is the
covariance of two halves of the replicates, and what a policy that knew each state would gain follows from it.
"""

from __future__ import annotations

from array import array
from math import erfc, exp, pi, sqrt
from statistics import covariance, fmean

from proact.records import Action
from proact.rewards.decisions import Decision

TIE = 1e-9
NOTHING = 0.005
"""Reward per decision below which a gain is none."""


class Constancy:
    """Takes in decisions one by one; keeps three numbers of each at most."""

    def __init__(self) -> None:
        self._preferred: set[Action] = set()
        self._differences, self._left, self._right = array("d"), array("d"), array("d")

    def add(self, decision: Decision) -> None:
        asking, answering = decision.values.get("Clarify", {}), decision.values.get("Execute", {})
        shared = sorted(asking.keys() & answering.keys())
        if not shared:
            return
        differences = [asking[key].reward - answering[key].reward for key in shared]
        mean = fmean(differences)
        self._differences.append(mean)
        if abs(mean) > TIE:
            self._preferred.add("Clarify" if mean > 0 else "Execute")
        if len(differences) > 1:
            self._left.append(fmean(differences[::2]))
            self._right.append(fmean(differences[1::2]))

    @property
    def spread(self) -> float | None:
        """The variance of the true differences between decisions; None unless most of them have replicates."""
        if len(self._left) < 2 or 2 * len(self._left) < len(self._differences):
            return None
        return covariance(self._left, self._right)

    @property
    def gain(self) -> float | None:
        """What a policy that knew each state would earn per decision over the better constant one, if the true
        differences are normal; None without replicates."""
        if self.spread is None:
            return None
        if self.spread <= 0:
            return 0.0
        deviation, lead = sqrt(self.spread), abs(fmean(self._differences))
        z = lead / deviation
        return deviation * exp(-z * z / 2) / sqrt(2 * pi) - lead * erfc(z / sqrt(2)) / 2

    @property
    def action(self) -> Action | None:
        """The action that is best everywhere, as far as the data can tell; None when it depends or nothing is known."""
        if len(self._preferred) == 1:
            return next(iter(self._preferred))
        if self._preferred and self.gain is not None and self.gain < NOTHING:
            return "Clarify" if fmean(self._differences) > 0 else "Execute"
        return None
