"""What a synthetic world is: tasks with an assistant and a user of their own, whose best policy can be computed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import msgspec

from proact.errors import UsageError
from proact.records import Message, Persona, ReactionMeta, State
from proact.registry import Registry

FURTHER = "further"

React = Callable[[State, str, int, random.Random], tuple[str, ReactionMeta]]
"""The user's reply to a Clarify: from the state, the message, the questions asked before, and chance."""


class Starts(msgspec.Struct, frozen=True):
    """Where games begin."""

    count: int
    """States of one round through all of them."""
    states: Callable[[int], Iterator[State]]
    """The first n states; the n-th is the same in every run."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """A closed game: Execute ends it, and is forced when nothing is open or a question was refused."""

    name: str
    """Of the world and of its user simulator; with a colon, of its assistant."""
    persona: Persona
    """The only user; its words say nothing about the value of a question."""
    starts: Starts
    """What it is measured on, to learn from and held out."""
    further: Starts
    """The split FURTHER: those to learn from, and larger ones that leave all others over after a question."""
    react: React
    """Plays the user."""
    turns: int
    """Assistant turns of the longest game."""
    table: Callable[[float, str | None], dict[str, Any]]
    """The exact values under a price alpha, over all starts but further ones, or over those of one split."""
    optimal: Callable[[float], Callable[[State, Persona, list[Message]], bool]]
    """The best policy at a price alpha; it reads only what every policy may see."""

    def states(self, split: str | None, count: int | None) -> Iterator[State]:
        """The first `count` states of a split, or those of one round. Raises UsageError for an unknown split."""
        starts = self._begin(split)
        made = starts.states(starts.count * (1 if count is None else count))
        return islice((state for state in made if split in (None, state.split)), count)

    def _begin(self, split: str | None) -> Starts:
        if split == FURTHER:
            return self.further
        splits = {state.split for state in self.starts.states(self.starts.count)}
        if split not in {None, *splits}:
            raise UsageError(f"--split {split}: {self.name} has {', '.join(sorted({FURTHER, *filter(None, splits)}))}")
        return self.starts

    def best(self, alpha: str) -> Callable[[State, Persona, list[Message]], bool]:
        """The same for a price as it was typed. Raises UsageError for what is none."""
        try:
            price = float(alpha)
        except ValueError:
            price = math.nan
        if not 0 <= price < math.inf:
            raise UsageError(f"--policy optimal:{alpha}: expected optimal:ALPHA, as optimal:0.3")
        return self.optimal(price)


WORLDS: Registry[World] = Registry("world")
