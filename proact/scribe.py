"""Plays one job and writes down what happened, as trajectories."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from proact import arms
from proact.keys import conversation_id, trajectory_id
from proact.records import Persona, State, Trajectory
from proact.rollout import Choice, Dialogue, Player, Rollout, Turn, total

GIVEN = "given"
"""Who decided where the command line did."""


class Work(msgspec.Struct, frozen=True):
    """One job: a trajectory of a single decision, or the lines of one branch of a whole conversation."""

    state: State
    persona: Persona
    replicate: int
    branch: str


class Scribe(NamedTuple):
    """Who plays, and under which names it is written down. `first` is a first action that no policy decides;
    `continue_by` names the policy that goes on after a branch, where that is not the mainline's own."""

    player: Player
    method: str
    model: str
    seed: int
    first: Choice | None = None
    continue_by: str | None = None

    def key(self, work: Work) -> str:
        """The name of a job."""
        return self._named(work, whole=self.player.rules.multi_turn)

    def rival(self, work: Work) -> str:
        """The job that plays the same as a single decision, or as a whole conversation, under the same ids."""
        return self._named(work, whole=not self.player.rules.multi_turn)

    def _named(self, work: Work, *, whole: bool) -> str:
        conversation = self._conversation(work)
        place = conversation if whole else f"{conversation}/t{work.state.dialogue_turn}"
        return trajectory_id(place, work.branch, work.replicate)

    def _conversation(self, work: Work) -> str:
        return conversation_id(work.state.id, work.persona.name, self.method, self.seed)

    async def lines(self, work: Work) -> list[Trajectory]:
        """The lines of one job."""
        return await (self._conversation_lines(work) if self.player.rules.multi_turn else self._decision(work))

    def _dialogue(self, work: Work) -> Dialogue:
        return Dialogue(
            state=work.state,
            persona=work.persona,
            messages=[{"role": "user", "content": work.state.query}],
            seed=self.seed,
            replicate=work.replicate,
            sample=2 * work.replicate,
        )

    async def _decision(self, work: Work) -> list[Trajectory]:
        """A single decision: the branch is taken at the state itself and rolled out."""
        dialogue = self._dialogue(work)
        mainline = self.first or await self.player.decide(dialogue)
        taken = dialogue.copy(_sample(work))
        # A question needs one more turn for the answer.
        limit = max(2, self.player.rules.max_turns)
        rollout = await arms.play(self.player, work.branch, taken, mainline, limit)
        return [self._line(work, rollout, 0, mainline, 0)]

    async def _conversation_lines(self, work: Work) -> list[Trajectory]:
        """Every turn of a conversation as a line, or the branches that leave it at each decision.

        The branches' job plays the mainline again, which costs nothing: its calls are in the log.
        """
        mainline = await self.player.conversation(self._dialogue(work), self.first)
        lines = []
        for index, turn in enumerate(mainline.turns):
            if work.branch == "mainline":
                lines.append(self._line(work, mainline, index, turn.choice, index))
            elif not turn.choice.forced:
                left = self.player.rules.max_turns - index
                dialogue = turn.before.copy(_sample(work))
                rollout = await arms.play(self.player, work.branch, dialogue, turn.choice, left)
                lines.append(self._line(work, rollout, 0, turn.choice, index))
        return lines

    def _line(self, work: Work, rollout: Rollout, index: int, mainline: Choice, point: int) -> Trajectory:
        turn: Turn = rollout.turns[index]
        state = turn.before.state
        conversation = self._conversation(work)
        group = f"{conversation}/t{state.dialogue_turn}"
        return Trajectory(
            id=trajectory_id(group, work.branch, work.replicate),
            group=group,
            conversation=conversation,
            state=state,
            action=turn.choice.action,
            action_prompt=turn.prompt,
            assistant_msg=turn.message,
            persona=work.persona,
            user_reaction=turn.reaction,
            is_mainline=work.branch == "mainline",
            branch=work.branch,
            replicate=work.replicate,
            decision_point=point,
            mainline_action=mainline.action,
            turn=state.dialogue_turn,
            messages=rollout.messages,
            at=turn.step.at,
            rollout=[later.step for later in rollout.turns[index:]],
            task_completed=rollout.turns[-1].completed,
            stop=rollout.stop,
            continuation=self._continuation(work.branch),
            policy=GIVEN if self.first and point == 0 else self.player.policy.name,
            forced=turn.choice.forced,
            p_clarify=mainline.p_clarify,
            method=self.method,
            seed=self.seed,
            model=self.model,
            user_model=self.player.user.name,
            usage=total(later.usage for later in rollout.turns[index:]),
        )

    def _continuation(self, branch: str) -> str:
        rules = self.player.rules
        if branch == "mainline" and rules.multi_turn:
            return "policy"
        if branch in ("placebo", "oracle"):
            return "execute"
        return self.continue_by or rules.continuation


def _sample(work: Work) -> int:
    return 2 * work.replicate + (work.branch == "variant")
