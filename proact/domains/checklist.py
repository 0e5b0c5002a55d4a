"""Planning score: which items of a checklist a plan covers, by words in one step and not by keywords anywhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container
from math import ceil
from typing import NamedTuple

from proact.domains.clauses import has_negator, negated
from proact.domains.steps import Step, split
from proact.records import ChecklistItem
from proact.words import FUNCTION_WORDS, MARKS, stem, words

ITEMS_PER_STEP = 2
SHARE_OF_WORDS = 0.6

_DROPPED_FROM_PHRASES = frozenset(("a", "an", "the", "of", "your", "our", "my", "their", "its"))


class _Requirement(NamedTuple):
    """An item as groups of phrases, and how many of the groups one step has to hold."""

    id: str
    groups: list[list[list[str]]]
    needed: int


class _Node(NamedTuple):
    """Text that may cover items: its own words, and words that its heading or sub-bullets lend it."""

    own: list[str]
    lent: list[str]
    own_negated: list[bool]
    lent_negated: list[bool]
    whole_step: bool


def coverage(checklist: list[ChecklistItem | str], plan: str, *, request: str = "") -> dict[str, bool]:
    """Say for each item whether the plan covers it; an item that is a plain string is named `item-<k>`, k from 1.

    An item is covered when one step (a sentence, a bullet, a bullet with its direct sub-bullets) holds a phrase of
    every concept group. A step covers two items at most. Sentences that repeat `request` word for word do not count.
    """
    requirements = [_requirement(item, position) for position, item in enumerate(checklist, 1)]
    nodes = _nodes(split(plan, request))
    index = _Index(nodes)
    candidates = [_candidates(requirement, nodes, index)[: len(requirements)] for requirement in requirements]
    covered = _assigned(candidates)
    return {requirement.id: position in covered for position, requirement in enumerate(requirements)}


def _requirement(item: ChecklistItem | str, position: int) -> _Requirement:
    if isinstance(item, ChecklistItem) and item.concepts:
        groups = [[_phrase(phrase) for phrase in group] for group in item.concepts]
        return _Requirement(item.id, groups, len(groups))
    text = item if isinstance(item, str) else item.text
    content = [word for word in words(text) if word not in FUNCTION_WORDS and word not in MARKS]
    stems = dict.fromkeys(stem(word) for word in content or words(text))
    name = f"item-{position}" if isinstance(item, str) else item.id
    return _Requirement(name, [[[found]] for found in stems], max(1, ceil(SHARE_OF_WORDS * len(stems))))


def _phrase(phrase: str) -> list[str]:
    found = [word for word in words(phrase) if word not in MARKS]
    return [stem(word) for word in found if word not in _DROPPED_FROM_PHRASES] or [stem(word) for word in found]


def _nodes(steps: list[Step]) -> list[_Node]:
    """Every sentence is a node; so is a step of several sentences or with sub-bullets, as a whole."""
    children: dict[int, list[Step]] = defaultdict(list)
    for step in steps:
        if step.parent is not None:
            children[step.parent].append(step)
    nodes: dict[tuple[str, ...], _Node] = {}
    wholes: list[_Node] = []
    for position, step in enumerate(steps):
        for sentence in step.sentences:
            nodes.setdefault(tuple(sentence), _node(sentence, step.heading, False))
        below = [
            token for child in children[position] for part in (*child.sentences, child.loose) for token in [*part, "."]
        ]
        if step.sentences and (len(step.sentences) > 1 or below or step.loose):
            own = [token for sentence in step.sentences for token in [*sentence, "."]]
            wholes.append(_node(own, [*step.heading, ".", *step.loose, ".", *below], True))
    return [*nodes.values(), *wholes]


def _node(own: list[str], lent: list[str], whole_step: bool) -> _Node:
    return _Node([stem(word) for word in own], [stem(word) for word in lent], negated(own), negated(lent), whole_step)


class _Index:
    """Where each stem stands, so that a search looks only at the nodes that hold a phrase's words."""

    def __init__(self, nodes: list[_Node]) -> None:
        self.places: dict[str, dict[int, list[tuple[bool, int, bool]]]] = defaultdict(lambda: defaultdict(list))
        for number, node in enumerate(nodes):
            for is_own, stems, marks in ((True, node.own, node.own_negated), (False, node.lent, node.lent_negated)):
                for at, found in enumerate(stems):
                    self.places[found][number].append((is_own, at, marks[at]))

    def holding(self, phrase: list[str]) -> dict[int, bool]:
        """The nodes that hold a phrase, each with whether it stands among the node's own words."""
        if not phrase or any(found not in self.places for found in phrase):
            return {}
        absent = has_negator(phrase)
        rarest = min((self.places[found] for found in phrase), key=len)
        result: dict[int, bool] = {}
        for number in rarest:
            found = self._within(phrase, number, absent)
            if found is not None:
                result[number] = found
        return result

    def _within(self, phrase: list[str], number: int, absent: bool) -> bool | None:
        """Look for the words of a phrase close together, in any order; only a `no ...` phrase may be negated."""
        result: bool | None = None
        others = [dict.fromkeys(self.places[found].get(number, ())) for found in phrase]
        if not all(others):
            return None
        reach = len(phrase) + 2
        for is_own, at, hidden in others[0]:
            if (hidden and not absent) or (result is False and not is_own):
                continue
            if all(self._near(places, is_own, at, reach, absent) for places in others[1:]):
                result = is_own or bool(result)
        return result

    @staticmethod
    def _near(places: Container[tuple[bool, int, bool]], is_own: bool, at: int, reach: int, absent: bool) -> bool:
        return any(
            (is_own, at + shift, hidden) in places
            for shift in range(1 - reach, reach)
            if shift
            for hidden in ((False, True) if absent else (False,))
        )


def _candidates(requirement: _Requirement, nodes: list[_Node], index: _Index) -> list[int]:
    """The nodes that could cover an item, sentences before whole steps; each has a group in its own words."""
    held: Counter[int] = Counter()
    own: set[int] = set()
    for group in requirement.groups:
        found: dict[int, bool] = {}
        for phrase in group:
            for number, is_own in index.holding(phrase).items():
                found[number] = found.get(number, False) or is_own
        held.update(found.keys())
        own.update(number for number, is_own in found.items() if is_own)
    enough = sorted(number for number, count in held.items() if count >= requirement.needed and number in own)
    return [number for number in enough if not nodes[number].whole_step] or enough


def _assigned(candidates: list[list[int]]) -> set[int]:
    """Give each item a node of its own, at most two items to a node, so that most items are covered."""
    holders: dict[int, list[int]] = defaultdict(list)

    def place(item: int, tried: set[int]) -> bool:
        for node in candidates[item]:
            if node in tried:
                continue
            tried.add(node)
            if len(holders[node]) < ITEMS_PER_STEP:
                holders[node].append(item)
                return True
            for other in holders[node]:
                if place(other, tried):
                    holders[node].remove(other)
                    holders[node].append(item)
                    return True
        return False

    return {item for item in range(len(candidates)) if place(item, set())}
