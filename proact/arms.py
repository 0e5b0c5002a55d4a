"""The arms of a decision: which lines are played beside the mainline, and how each one goes."""

from __future__ import annotations

from typing import Literal

from proact.records import Action, State, Usage
from proact.rollout import EXECUTE, Choice, Dialogue, Player, Rollout, Rules, answer_at_once

OTHER: dict[Action, Action] = {"Clarify": "Execute", "Execute": "Clarify"}
DOCUMENTED = ("mainline", "other", "variant")
AGAIN = "again"
"""The mainline's action once more, going on as the branches do where the mainline itself goes on differently."""
GENERIC = "May I just do it like this?"
"""What a placebo asks: no word of it means anything about a task."""
Arms = Literal["documented", "all"]


def arms(rules: Rules, *, branches: int, wanted: Arms, branch_turns: bool, own_way: bool) -> tuple[str, ...]:
    """The arms that a run plays; whole conversations have only a mainline unless their turns are branched.

    `own_way` tells that branches go on by another policy than the mainline's.
    """
    if rules.multi_turn and not branch_turns:
        return DOCUMENTED[:1]
    played = DOCUMENTED[: branches + 1]
    if branches and rules.multi_turn and (own_way or rules.continuation == "execute"):
        played = (*played, AGAIN)
    return (*played, "placebo", "oracle") if wanted == "all" else played


def applies(arm: str, state: State) -> bool:
    """Whether an arm can be played: an oracle needs something to tell."""
    return arm != "oracle" or bool(state.facts or state.intent)


async def play(player: Player, arm: str, dialogue: Dialogue, mainline: Choice, turns_left: int) -> Rollout:
    """One arm, from its decision to the final answer."""
    if arm == "placebo":
        return await _placebo(player, dialogue, turns_left)
    if arm == "oracle":
        _tell_everything(player, dialogue)
        return await player.play(dialogue, Choice("Execute"), answer_at_once, turns_left)
    if arm != "mainline":
        mainline = Choice(OTHER[mainline.action] if arm == "other" else mainline.action)
    return await player.branch(dialogue, mainline, turns_left)


async def _placebo(player: Player, dialogue: Dialogue, turns_left: int) -> Rollout:
    """A question that asks nothing, asked without a model, then an answer: what a second attempt alone is worth."""
    asked = await player.said(dialogue, Choice("Clarify"), "", GENERIC, Usage())
    if not player.rules.rollout and not player.rules.multi_turn:
        return Rollout([asked], "no_rollout", dialogue.messages)
    rest = await player.play(dialogue, EXECUTE, answer_at_once, max(1, turns_left - 1))
    return Rollout([asked, *rest.turns], rest.stop, rest.messages)


def _tell_everything(player: Player, dialogue: Dialogue) -> None:
    # In one user message with the request: some models refuse two user messages in a row.
    told = "\n".join(fact.text for fact in player.facts(dialogue))
    *earlier, last = dialogue.messages
    if last["role"] == "user":
        dialogue.messages = [*earlier, {"role": "user", "content": f"{last['content']}\n\n{told}"}]
    else:
        dialogue.messages.append({"role": "user", "content": told})
