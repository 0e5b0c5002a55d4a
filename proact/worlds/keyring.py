"""Keyring: a world whose best policy is known exactly.

A request leaves one to three keys open, and up to four in further ones that are only learned from. Its words hint at
how easily each could be guessed, how patient the user is and how hard the rest is, and never say it in numbers. Its
assistant reads these hints, writes real code, and is right as often as they say; its user answers as often as they say.
Nothing that is learned here says anything about real models.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from math import prod
from typing import Any

import msgspec

from proact.errors import UsageError
from proact.keys import digest, digest64
from proact.llm import MODELS, Completion, Options, Request
from proact.prompts import load
from proact.records import Fact, Message, Persona, ReactionMeta, State
from proact.worlds import exact
from proact.worlds.base import FURTHER, WORLDS, Starts, World
from proact.worlds.cues import GUESS_CUES, KEYS, PATIENCE_CUES, SKILL_CUES, Cues

NAME = "keyring"
UNCERTAINTY = 0.5
TEST_SLOTS = frozenset(
    {(0.5, 0.5), (0.1, 0.9), (0.1, 0.1, 0.5), (0.5, 0.5, 0.9), (0.1, 0.5, 0.9), (0.9, 0.9, 0.9)},
)
FURTHER_STARTS = (*(start for start in exact.STARTS if start.slots not in TEST_SLOTS), *exact.FURTHER)
QUESTIONS = (
    "How many notches does the {} key have?",
    "Could you count the notches of the {} key for me?",
    "Before I start: what about the {} key, how many notches?",
)
OPENINGS = ("Here is the function.", "Here you go.", "This should be it.")
REFUSAL = "No more of this, please. Just write it."
NOT_ASKED = "I have nothing to say to that."
_WRITTEN = "{opening}\n\n```python\ndef {ring}():\n    return {notches}\n```"


class Read(msgspec.Struct, frozen=True):
    """What the words of a dialogue tell: the function, what is known of every key, skill and patience."""

    ring: str
    guesses: dict[str, float]
    told: dict[str, int]
    skill: float
    patience: float

    @property
    def open(self) -> dict[str, float]:
        return {name: guess for name, guess in self.guesses.items() if name not in self.told}


def states(count: int) -> Iterator[State]:
    """The starts in order, again and again in other words."""
    for index in range(count):
        start = exact.STARTS[index % len(exact.STARTS)]
        yield _state(index, start, "test" if start.slots in TEST_SLOTS else "train")


def further(count: int) -> Iterator[State]:
    """The starts to learn from and those of four keys, again and again in other words."""
    for index in range(count):
        yield _state(f"{FURTHER}-{index}", FURTHER_STARTS[index % len(FURTHER_STARTS)], FURTHER)


def _state(index: int | str, start: exact.Node, split: str) -> State:
    chance = random.Random(digest64(f"{NAME} {index}"))
    words = "test" if split == "test" else "train"
    names = chance.sample(KEYS[words], k=len(start.slots))
    guesses = dict(zip(names, chance.sample(start.slots, k=len(start.slots)), strict=True))
    ring = f"ring_{digest(NAME, index)[:6]}"
    hints = [f"The {name} key {chance.choice(GUESS_CUES[words][guess])}." for name, guess in guesses.items()]
    patience = chance.choice(PATIENCE_CUES[words][start.patience])
    skill = chance.choice(SKILL_CUES[words][start.skill])
    opening = f"Write a Python function `{ring}()` that lists the notches of my keys: {', '.join(names)}."
    facts = [Fact(id=name, text=_told(name, _notches(ring, name)), about=f"{name} key notches") for name in names]
    return State(
        id=f"{NAME}-{index}",
        domain="coding",
        query=" ".join([opening, *hints, skill, patience]),
        task_uncertainty=UNCERTAINTY,
        facts=facts,
        tests=[f"assert {ring}() == {[_notches(ring, name) for name in names]}"],
        split=split,
        family=f"{NAME} {'+'.join(map(str, start.slots))} patience {start.patience} skill {start.skill}",
        metadata={"guesses": guesses, "patience": start.patience, "skill": start.skill},
    )


def react(state: State, message: str, asked: int, chance: random.Random) -> tuple[str, ReactionMeta]:
    """The user: it refuses by its patience, else reveals the key that was asked for, always clearly."""
    if chance.random() >= state.metadata["patience"] * exact.WEARIES**asked:
        return REFUSAL, ReactionMeta(reject_signal=1)
    said = set(re.findall(r"\w+", message))
    for fact in state.facts:
        if fact.id in said:
            return fact.text, ReactionMeta(answered_clarification=1, answer_clarity=1.0, revealed=[fact.id])
    return NOT_ASKED, ReactionMeta()


@lru_cache(256)
def read(said: str) -> Read:
    """Decode the cues of the user's words. Raises UsageError for a request that is none of this world's."""
    ring = re.search(r"`(ring_\w+)\(\)`", said)
    if not ring:
        raise UsageError(f"{NAME}: plays the tasks of its own world only (--mode synthetic --world {NAME})")
    guesses = {}
    told = {}
    for name, hint in re.findall(r"The (\w+) key ([^.]+)\.", said):
        if count := re.fullmatch(r"has (\d+) notches", hint):
            told[name] = int(count[1])
        else:
            guesses[name] = _cued(hint, GUESS_CUES)
    return Read(ring[1], guesses, told, _said(said, SKILL_CUES), _said(said, PATIENCE_CUES))


def optimal(alpha: float) -> Callable[[State, Persona, list[Message]], bool]:
    """The best policy at a price, as one that reads the dialogue and nothing else."""
    asks = exact.best(alpha)

    def policy(state: State, persona: Persona, messages: list[Message]) -> bool:
        heard = read(_heard(messages))
        slots = tuple(sorted(heard.open.values()))
        return asks(exact.Node(slots, len(heard.told), heard.patience, heard.skill))

    return policy


class Assistant:
    """The world's own assistant as a chat model."""

    computed = True

    def __init__(self, rest: str = "") -> None:
        if rest:
            raise UsageError(f"{NAME}: takes no name, got {rest!r}")
        self.name = self.endpoint = f"{NAME}:"

    async def complete(self, request: Request) -> Completion:
        """Raises UsageError for a request that is neither a Clarify nor an Execute of this world."""
        instruction = str(request.messages[-1]["content"])
        drawn = digest64(msgspec.json.encode([request.seed, request.sample, request.messages]).decode()) / 2**64
        heard = read(_heard(request.messages))
        # Odd samples are variants, which must differ; replicates share their words, so that later turns compare.
        turn = digest64(f"{request.seed} {heard.ring}") + request.sample % 2
        if load("coding_clarify").user in instruction:
            hardest = min(heard.open or heard.guesses, key=lambda name: heard.guesses[name])
            return Completion(text=QUESTIONS[turn % len(QUESTIONS)].format(hardest))
        if load("coding_execute").user in instruction:
            return Completion(text=_answer(heard, drawn, OPENINGS[turn % len(OPENINGS)]))
        raise UsageError(f"{NAME}: can only ask or answer")

    async def close(self) -> None: ...


@MODELS.register(NAME)
def _model(rest: str, options: Options) -> Assistant:
    return Assistant(rest)


def _table(alpha: float, split: str | None = None) -> dict[str, Any]:
    if split == FURTHER:
        return exact.table(alpha, FURTHER_STARTS)
    starts = [start for start in exact.STARTS if split is None or (start.slots in TEST_SLOTS) == (split == "test")]
    return exact.table(alpha, starts)


WORLDS.register(NAME)(
    World(
        name=NAME,
        persona=Persona(name="neutral", domain="coding", expertise="high"),
        starts=Starts(len(exact.STARTS), states),
        further=Starts(len(FURTHER_STARTS), further),
        react=react,
        turns=exact.FURTHER_SLOTS + 1,
        table=_table,
        optimal=optimal,
    )
)


def _answer(heard: Read, drawn: float, opening: str) -> str:
    counts = [heard.told.get(name, _notches(heard.ring, name)) for name in heard.guesses]
    if drawn >= heard.skill * prod(heard.open.values()):
        counts[0] += 1
    return _WRITTEN.format(opening=opening, ring=heard.ring, notches=counts)


def _heard(messages: Iterable[Message]) -> str:
    return "\n".join(str(message["content"]) for message in messages if message["role"] == "user")


def _said(text: str, cues: Cues) -> float:
    return next(
        level for by_level in cues.values() for level, texts in by_level.items() if any(t in text for t in texts)
    )


def _cued(hint: str, cues: Cues) -> float:
    return next(level for by_level in cues.values() for level, texts in by_level.items() if hint in texts)


def _notches(ring: str, name: str) -> int:
    return 2 + digest64(f"{ring} {name}") % 8


def _told(name: str, notches: int) -> str:
    return f"The {name} key has {notches} notches."
