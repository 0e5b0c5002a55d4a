"""What `generate` and `reward` make of Keyring, computed without files, a sandbox or a call log, for many seeds.

tests/test_keyring_learning.py holds it against the files of the commands themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from proact.keys import digest64, keyed_random
from proact.prompts import load
from proact.records import State
from proact.worlds import exact, keyring

METHOD = "learner"
Key = tuple[str, int]
Asks = Callable[[Key], bool]
STATES = list(keyring.states(len(exact.STARTS)))
START = {state.family: start for state, start in zip(STATES, exact.STARTS, strict=True) if state.family}
_system, _execute = load("coding_execute").fill(profile="")


class Outcome(NamedTuple):
    """One decision of the always-asking mainline: whether each arm passed, and what the asking arm cost over alpha."""

    seed: int
    state_id: str
    key: Key
    executed: bool
    clarified: bool
    questions: int
    refusals: int

    def margin(self, alpha: float) -> float:
        """Reward of asking minus reward of answering."""
        cost = alpha * (exact.QUESTION * self.questions + exact.REFUSAL * self.refusals)
        return round(round(self.clarified - cost, 9) - float(self.executed), 9)


def outcomes(seeds: Iterable[int], asks: Asks) -> Iterator[Outcome]:
    """Every decision of an always-asking mainline with --branches 1 --branch-turns; after the question that is compared
    with an answer, the line goes on by `asks`."""
    for seed in seeds:
        for state in STATES:
            ring = keyring.read(state.query).ring
            question = keyring.QUESTIONS[digest64(f"{seed} {ring}") % len(keyring.QUESTIONS)]
            yield from _conversation(seed, state, question, asks)


def _conversation(seed: int, state: State, question: str, asks: Asks) -> Iterator[Outcome]:
    start = START[str(state.family)]
    guesses = state.metadata["guesses"]
    facts = {fact.id: fact.text for fact in state.facts}
    names = sorted(guesses, key=guesses.__getitem__)
    refused = [_refuses(seed, state, start, turn) for turn in range(len(names))]
    said = [{"role": "user", "content": state.query}]
    spoken = []
    for name in names:
        asked = {"role": "assistant", "content": question.format(name)}
        spoken.append((asked, {"role": "user", "content": facts[name]}))
    for turn in range(len(names)):
        executed = _passes(seed, start, said, turn)
        dialogue, at = said, turn
        while True:
            asked, told = spoken[at]
            if refused[at]:
                dialogue = [*dialogue, asked, {"role": "user", "content": keyring.REFUSAL}]
                clarified, questions = _passes(seed, start, dialogue, at), at - turn + 1
                break
            dialogue, at = [*dialogue, asked, told], at + 1
            if at == len(names) or not asks((str(state.family), at)):
                clarified, questions = _passes(seed, start, dialogue, at), at - turn
                break
        refusals = int(dialogue[-1]["content"] == keyring.REFUSAL)
        yield Outcome(seed, state.id, (str(state.family), turn), executed, clarified, questions, refusals)
        if refused[turn]:
            return
        said = [*said, *spoken[turn]]


def _refuses(seed: int, state: State, start: exact.Node, turn: int) -> bool:
    chance = keyed_random(seed, state.id, "neutral", turn, 0, "answers")
    return chance.random() >= start.patience * exact.WEARIES**turn


def _passes(seed: int, start: exact.Node, said: list[dict[str, str]], told: int) -> bool:
    *earlier, last = said
    final = {"role": "user", "content": f"{last['content']}\n\n{_execute}"}
    messages = [{"role": "system", "content": _system}, *earlier, final]
    drawn = digest64(msgspec.json.encode([seed, 0, messages]).decode()) / 2**64
    return drawn < exact.execute(start._replace(slots=start.slots[told:]))


class Pair(NamedTuple):
    """What a learner needs of a preference pair."""

    seed: int
    state_id: str
    key: Key
    asks: bool
    weight: float


def pairs(found: Iterable[Outcome], alpha: float) -> list[Pair]:
    """All pairs with their margins as weights: the lines of `--no-thin`, and those of `--pairs best-worst` too."""
    margins = ((outcome, outcome.margin(alpha)) for outcome in found)
    return [
        Pair(outcome.seed, outcome.state_id, outcome.key, margin > 0, abs(margin))
        for outcome, margin in margins
        if abs(margin) > exact.TIE
    ]


def thinned(every: list[Pair]) -> list[Pair]:
    """The pairs that `reward` keeps by default."""
    largest = max(pair.weight for pair in every)
    return [pair._replace(weight=1.0) for pair in every if _chance(pair) < pair.weight / largest]


def _chance(pair: Pair) -> float:
    return keyed_random(0, pair.state_id, "neutral", pair.key[1], 0, f"thin {METHOD} {pair.seed}").random()


def learned(found: Iterable[Pair]) -> Mapping[Key, bool]:
    """A tabular learner: the logit of each key that minimises the sum of weighted logistic losses, which is the log
    ratio of the weights of both answers; it asks where that is not negative."""
    weights: dict[Key, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for pair in found:
        weights[pair.key][pair.asks] += pair.weight
    return {key: asking >= answering for key, (answering, asking) in weights.items()}


def value(table: Mapping[Key, bool], alpha: float) -> float:
    """The exact value of a learner's policy, each start under its own family's entries."""
    total = 0.0
    for family, start in START.items():

        def asks(node: exact.Node, family: str = family) -> bool:
            return table.get((family, node.asked), False)

        total += exact.value(asks, alpha)(start)
    return total / len(START)


def ask_rate(table: Mapping[Key, bool]) -> float:
    """The share of the starts at which a learner asks."""
    return sum(table.get((family, 0), False) for family in START) / len(START)


def regret(worth: float, alpha: float) -> float:
    """0 for the optimal policy, 1 for the best constant one."""
    best = exact.mean(exact.best(alpha), alpha)
    constant = max(exact.mean(lambda node: False, alpha), exact.mean(lambda node: True, alpha))
    return (best - worth) / (best - constant)
