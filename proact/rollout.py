"""Plays a conversation between an assistant and a simulated user, from one decision to its final answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Literal, NamedTuple

import msgspec

from proact.domains import domain
from proact.errors import UsageError
from proact.llm import ChatModel, Sampling
from proact.policies import Decision, Policy
from proact.records import Action, Fact, Message, Persona, State, Step, Usage, UserReaction
from proact.render import instructed
from proact.sandbox import Sandbox
from proact.text import questions
from proact.users import Situation, User


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How conversations are played; part of the spec."""

    multi_turn: bool = False
    max_turns: int = 5
    rollout: bool = True
    continuation: Literal["execute", "policy"] = "execute"
    clarify_threshold: float = 0.5
    closed: bool = False
    """A world's game: an answer ends it, and is forced once every fact has been told."""


class Choice(NamedTuple):
    """An action, the policy's probability of asking, whether the action was imposed on it, and what deciding took."""

    action: Action
    p_clarify: float | None = None
    forced: bool = False
    usage: Usage = Usage()


EXECUTE = Choice("Execute", None, True)


class Dialogue(msgspec.Struct):
    """A conversation in the making. `asked` counts the questions of its Clarify turns."""

    state: State
    persona: Persona
    messages: list[Message]
    seed: int
    replicate: int
    sample: int
    asked: int = 0

    def copy(self, sample: int) -> Dialogue:
        return msgspec.structs.replace(self, messages=[*self.messages], sample=sample)


class Turn(NamedTuple):
    """One assistant message with what led to it and what came of it."""

    before: Dialogue
    choice: Choice
    step: Step
    prompt: str
    message: str
    reaction: UserReaction
    usage: Usage
    completed: bool | None


class Rollout(NamedTuple):
    """The turns from a decision on, why they ended, and the whole dialogue."""

    turns: list[Turn]
    stop: str
    messages: list[Message]


Follow = Callable[[Dialogue], Awaitable[Choice]]


def total(usages: Iterable[Usage]) -> Usage:
    """The sum of several usages."""
    each = list(usages)
    return Usage(
        calls=sum(usage.calls for usage in each),
        prompt_tokens=sum(usage.prompt_tokens for usage in each),
        completion_tokens=sum(usage.completion_tokens for usage in each),
    )


class Player(NamedTuple):
    """Everybody who takes part in a conversation."""

    assistant: ChatModel
    user: User
    policy: Policy
    sampling: Sampling
    sandbox: Sandbox
    rules: Rules
    follower: Policy | None = None
    """Who goes on after a branch, where that is not the policy itself."""

    async def decide(self, dialogue: Dialogue, policy: Policy | None = None) -> Choice:
        """What the policy does here; a tie asks. Raises UsageError for a probability outside 0 to 1."""
        policy = policy or self.policy
        p_clarify, usage = await policy.p_clarify(
            Decision(
                state=dialogue.state,
                persona=dialogue.persona,
                messages=dialogue.messages,
                seed=dialogue.seed,
                sample=2 * dialogue.replicate,
            )
        )
        if not 0 <= p_clarify <= 1:
            raise UsageError(f"policy {policy.name} gave {p_clarify} as a probability of asking")
        asks = p_clarify >= self.rules.clarify_threshold
        return Choice("Clarify" if asks else "Execute", round(p_clarify, 6), usage=usage)

    async def conversation(self, dialogue: Dialogue, first: Choice | None = None) -> Rollout:
        """A whole conversation in which the policy decides at every turn, or at every one after `first`."""
        if self.rules.max_turns == 1:
            first = EXECUTE
        return await self.play(dialogue, first or await self.decide(dialogue), self.decide, self.rules.max_turns)

    async def branch(self, dialogue: Dialogue, choice: Choice, turns_left: int) -> Rollout:
        """One decision, then on to the final answer as `continuation` says."""
        if self.rules.continuation == "policy":
            return await self.play(dialogue, choice, partial(self.decide, policy=self.follower), turns_left)
        return await self.play(dialogue, choice, answer_at_once, turns_left)

    async def play(self, dialogue: Dialogue, choice: Choice, follow: Follow, limit: int) -> Rollout:
        """Turn after turn until the task is done or `limit` is reached; whoever refuses a question gets an answer,
        and the last turn is always one."""
        turns: list[Turn] = []
        while True:
            turn = await self._turn(dialogue, choice)
            turns.append(turn)
            if stop := self._stops(turn, len(turns), limit):
                return Rollout(turns, stop, dialogue.messages)
            forced = turn.reaction.meta.reject_signal or len(turns) == limit - 1 or self._settled(dialogue)
            choice = EXECUTE if forced else await follow(dialogue)

    def _stops(self, turn: Turn, taken: int, limit: int) -> str:
        if turn.step.action == "Execute" and turn.completed:
            return "completed"
        if turn.step.action == "Execute" and (self.rules.closed or not self.rules.multi_turn):
            return "executed"
        if not self.rules.rollout and not self.rules.multi_turn:
            return "no_rollout"
        return "max_turns" if taken >= limit else ""

    async def _turn(self, dialogue: Dialogue, choice: Choice) -> Turn:
        state, action = dialogue.state, choice.action
        request, prompt = instructed(dialogue.messages, domain(state.domain).prompt(action), dialogue.persona)
        completion = await self.assistant.complete(
            self.sampling.request(request, sample=dialogue.sample, seed=dialogue.seed)
        )
        tokens = Usage(calls=1, prompt_tokens=completion.prompt_tokens, completion_tokens=completion.completion_tokens)
        return await self.said(dialogue, choice, prompt, completion.text, tokens)

    async def said(self, dialogue: Dialogue, choice: Choice, prompt: str, message: str, tokens: Usage) -> Turn:
        """The rest of a turn, once the assistant's message is there."""
        before = dialogue.copy(dialogue.sample)
        action, at = choice.action, len(dialogue.messages)
        dialogue.messages.append({"role": "assistant", "content": message})
        completed = await self._completed(dialogue.state, message) if action == "Execute" else None
        reacted = await self.user.react(self._situation(dialogue, action, completed))
        self._update(dialogue, action, reacted.reaction)
        usage = total([choice.usage, tokens, reacted.usage])
        step = Step(at=at, action=action, meta=reacted.reaction.meta)
        return Turn(before, choice, step, prompt, message, reacted.reaction, usage, completed)

    def facts(self, dialogue: Dialogue) -> list[Fact]:
        """Everything that the user could tell."""
        return self._situation(dialogue, "Execute", None).facts

    def _settled(self, dialogue: Dialogue) -> bool:
        if not self.rules.closed:
            return False
        said = "\n".join(str(message["content"]) for message in dialogue.messages if message["role"] == "user")
        return all(fact.text in said for fact in self.facts(dialogue))

    def _situation(self, dialogue: Dialogue, action: Action, completed: bool | None) -> Situation:
        return Situation(
            state=dialogue.state,
            persona=dialogue.persona,
            messages=dialogue.messages,
            action=action,
            turn=dialogue.state.dialogue_turn,
            asked_before=dialogue.asked,
            completed=completed,
            seed=dialogue.seed,
            replicate=dialogue.replicate,
            sample=dialogue.sample,
        )

    async def _completed(self, state: State, message: str) -> bool | None:
        kind = domain(state.domain)
        if not kind.applies(state):
            return None
        program = kind.program(state, message)
        result = await self.sandbox.result(program) if program else None
        value = kind.score(state, message, result).value
        return None if value is None else value >= 1.0

    def _update(self, dialogue: Dialogue, action: Action, reaction: UserReaction) -> None:
        meta, state = reaction.meta, dialogue.state
        if action == "Clarify":
            dialogue.asked += len(questions(str(dialogue.messages[-1]["content"])))
        if reaction.user_reply:
            dialogue.messages.append({"role": "user", "content": reaction.user_reply})
        uncertainty = state.task_uncertainty * (1 - 0.5 * meta.answer_clarity)
        dialogue.state = msgspec.structs.replace(
            state,
            dialogue_turn=state.dialogue_turn + 1,
            prev_reject=meta.reject_signal,
            task_uncertainty=round(uncertainty, 6),
        )


async def answer_at_once(dialogue: Dialogue) -> Choice:
    return EXECUTE
