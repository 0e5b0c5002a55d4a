"""A simulated user whose reactions a synthetic world computes."""

from __future__ import annotations

import random
from collections.abc import Callable

from proact.records import ReactionMeta, State
from proact.users import rule
from proact.users.base import Reacted, Situation


class Acting:
    """Plays the user of a world; chance is keyed as for every other user."""

    def __init__(self, name: str, react: Callable[[State, str, int, random.Random], tuple[str, ReactionMeta]]) -> None:
        self.name, self._react = name, react

    async def react(self, situation: Situation) -> Reacted:
        if situation.action == "Execute":
            return Reacted(rule.concluded(situation, ReactionMeta(), rule.UNDECIDED))
        chance = situation.chance("answers")
        reply, meta = self._react(situation.state, situation.message, situation.asked_before, chance)
        return Reacted(rule.concluded(situation, meta, reply))
