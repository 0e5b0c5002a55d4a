"""The exact values of Keyring by backward induction: what each policy earns, and which one is best.

A node is solved for any price; values are rewards with one question at 0.4 and a refusal at 1.0 times alpha.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import combinations_with_replacement, product
from math import prod
from statistics import fmean
from typing import Any, NamedTuple

GUESSES = (0.1, 0.5, 0.9)
PATIENCE = (0.95, 0.8, 0.5)
SKILL = (1.0, 0.8)
WEARIES = 0.9
QUESTION, REFUSAL = 0.4, 1.0
MOST_SLOTS, FURTHER_SLOTS = 3, 4
TIE = 1e-9
ROUNDS = 3


class Node(NamedTuple):
    """A decision: the chances of guessing the open slots in rising order, questions so far, patience and skill."""

    slots: tuple[float, ...]
    asked: int
    patience: float
    skill: float


Policy = Callable[[Node], bool]
Value = Callable[[Node], float]


def _starts(sizes: Iterable[int]) -> tuple[Node, ...]:
    return tuple(
        Node(slots, 0, patience, skill)
        for size in sizes
        for slots in combinations_with_replacement(GUESSES, size)
        for patience, skill in product(PATIENCE, SKILL)
    )


STARTS = _starts(range(1, MOST_SLOTS + 1))
FURTHER = _starts([FURTHER_SLOTS])
"""Larger starts, which only further ones are of: asking in them leaves every combination of three slots over."""


def execute(node: Node) -> float:
    """The chance that an answer given now passes."""
    return node.skill * prod(node.slots)


def answered(node: Node) -> float:
    """The chance that the next question is answered."""
    return node.patience * WEARIES**node.asked


def after(node: Node) -> Node:
    """The node once the slot that is hardest to guess has been revealed."""
    return node._replace(slots=node.slots[1:], asked=node.asked + 1)


def clarify(node: Node, alpha: float, then: Value) -> float:
    """The value of asking now and going on as `then` says; a refusal costs more and forces an answer."""
    likely = answered(node)
    return -QUESTION * alpha + likely * then(after(node)) + (1 - likely) * (execute(node) - REFUSAL * alpha)


def value(policy: Policy, alpha: float) -> Value:
    """What a policy earns from each node on."""

    @cache
    def worth(node: Node) -> float:
        return clarify(node, alpha, worth) if node.slots and policy(node) else execute(node)

    return worth


def better(then: Value, alpha: float) -> Policy:
    """The policy that asks where that is worth at least as much as answering, given how it would go on."""
    return cache(lambda node: bool(node.slots) and clarify(node, alpha, then) >= execute(node) - TIE)


def best(alpha: float) -> Policy:
    """The optimal policy; a tie asks."""

    @cache
    def worth(node: Node) -> float:
        return max(execute(node), clarify(node, alpha, worth)) if node.slots else execute(node)

    return better(worth, alpha)


def improved(alpha: float) -> Iterator[Policy]:
    """Policy iteration that starts from answering at once after a question."""
    policy = better(execute, alpha)
    while True:
        yield policy
        policy = better(value(policy, alpha), alpha)


def single_pair_sign(alpha: float) -> Policy:
    """The policy that unweighted pairs of single rollouts train: it asks where the question's line is more often the
    better of the two."""

    def asks(node: Node) -> bool:
        lead = 0.0
        for chance, asked_passes, cost in (
            (answered(node), execute(after(node)), QUESTION * alpha),
            (1 - answered(node), execute(node), (QUESTION + REFUSAL) * alpha),
        ):
            for asked_score, executed_score in product((0, 1), repeat=2):
                probability = chance * _binary(asked_passes, asked_score) * _binary(execute(node), executed_score)
                difference = asked_score - cost - executed_score
                lead += probability * ((difference > TIE) - (difference < -TIE))
        return lead >= -TIE

    return cache(asks)


def mean(policy: Policy, alpha: float, starts: Sequence[Node] = STARTS) -> float:
    """The value of a policy over all starts, or over some."""
    return fmean(map(value(policy, alpha), starts))


def ask_rate(policy: Policy, starts: Sequence[Node] = STARTS) -> float:
    """The share of the starts at which a policy asks."""
    return fmean(map(policy, starts))


def table(alpha: float, starts: Sequence[Node] = STARTS) -> dict[str, Any]:
    """Everything that `proact world keyring` prints, for any alpha."""
    optimal = best(alpha)
    worth = value(optimal, alpha)
    rounds = improved(alpha)
    return {
        "alpha": alpha,
        "optimal": mean(optimal, alpha, starts),
        "ask_rate": ask_rate(optimal, starts),
        "single_pair_ask_rate": ask_rate(single_pair_sign(alpha), starts),
        "never": mean(lambda node: False, alpha, starts),
        "always": mean(lambda node: True, alpha, starts),
        "policy_iteration": [mean(next(rounds), alpha, starts) for _ in range(ROUNDS)],
        "single_pair_sign": mean(single_pair_sign(alpha), alpha, starts),
        "evpi": fmean(start.skill - execute(start) for start in starts),
        "gross_voi": fmean(answered(start) * (execute(after(start)) - execute(start)) for start in starts),
        "net_voi": fmean(clarify(start, alpha, execute) - execute(start) for start in starts),
        "starts": [
            {
                "slots": list(start.slots),
                "patience": start.patience,
                "skill": start.skill,
                "execute": execute(start),
                "clarify": clarify(start, alpha, worth),
                "asks": optimal(start),
            }
            for start in starts
        ],
    }


def _binary(passes: float, score: int) -> float:
    return passes if score else 1 - passes
