"""A policy that asks a language model whether to ask."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from proact.llm import ChatModel, Sampling, ask
from proact.policies.base import Decision
from proact.prompts import load
from proact.records import Action, Usage
from proact.render import render_state


class Reply(BaseModel):
    """What the model is asked for."""

    model_config = ConfigDict(extra="forbid")

    action: Action
    reason: str


class Prompted:
    """Shows the model the rendered state, never a hidden number, and takes its word."""

    def __init__(self, model: ChatModel, sampling: Sampling) -> None:
        self.name = f"prompted:{model.name}"
        self._model, self._sampling = model, sampling

    async def p_clarify(self, decision: Decision) -> tuple[float, Usage]:
        system, user = load("policy").fill(state=render_state(decision.state, decision.persona, decision.messages))
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        request = self._sampling.request(messages, sample=decision.sample, seed=decision.seed)
        reply, completion = await ask(self._model, request, Reply)
        tokens = Usage(calls=1, prompt_tokens=completion.prompt_tokens, completion_tokens=completion.completion_tokens)
        return float(reply.action == "Clarify"), tokens
