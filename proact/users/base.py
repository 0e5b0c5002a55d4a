"""The simulated user: what it is told about an assistant's message, and what it gives back."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from proact.keys import keyed_random
from proact.records import Action, Fact, Message, Persona, State, Usage, UserReaction
from proact.registry import Registry

_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|\n+|(?<=[。！？])")


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant's message as the user meets it; `completed` tells whether an answer did what was wanted."""

    state: State
    persona: Persona
    messages: list[Message]
    action: Action
    turn: int
    asked_before: int
    completed: bool | None
    seed: int
    replicate: int
    sample: int

    @property
    def message(self) -> str:
        return str(self.messages[-1]["content"])

    def chance(self, purpose: str) -> random.Random:
        return keyed_random(self.seed, self.state.id, self.persona.name, self.turn, self.replicate, purpose)

    @property
    def facts(self) -> list[Fact]:
        """What the user can reveal: the facts, or else the sentences of the intent."""
        if self.state.facts or not self.state.intent:
            return self.state.facts
        sentences = [part.strip() for part in _SENTENCE_ENDS.split(self.state.intent)]
        return [Fact(id=f"intent-{index}", text=text) for index, text in enumerate(filter(None, sentences))]


class User(Protocol):
    """Plays the user."""

    name: str

    async def react(self, situation: Situation) -> Reacted: ...


class Reacted(NamedTuple):
    """The reaction, and the tokens that it took."""

    reaction: UserReaction
    usage: Usage = Usage()


USERS: Registry[Callable[[], User]] = Registry("user model")
"""Simulated users that a plugin adds; `rule` is built in, and any other name is a language model."""
