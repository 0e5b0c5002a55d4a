"""A simulated user played by a language model: it picks fact ids by schema and puts them into words."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from proact.llm import ChatModel, Request, Sampling, ask
from proact.prompts import fence, load
from proact.records import Fact, Usage
from proact.text import questions
from proact.users import rule
from proact.users.base import Reacted, Situation


class Reply(BaseModel):
    """What the model is asked for."""

    model_config = ConfigDict(extra="forbid")

    fact_ids: list[str]
    reply: str


class Prompted:
    """Whether the user answers, and what it can state clearly, is drawn by the same rule; the model picks the facts
    that were asked for and phrases the reply."""

    def __init__(self, model: ChatModel, sampling: Sampling) -> None:
        self.name = model.name
        self._model, self._sampling = model, sampling

    async def react(self, situation: Situation) -> Reacted:
        if situation.action == "Execute":
            return Reacted(rule.to_answer(situation))
        meta = rule.reception(situation)
        if meta.reject_signal or meta.silence:
            return Reacted(rule.concluded(situation, meta, rule.refusal(situation, meta)))
        asked = rule.addressed(situation)
        known = {fact.id: fact for fact in situation.facts if rule.is_clear(situation, fact)}
        if not known:
            return Reacted(rule.answer(situation, meta, asked, [], ""))
        limit = max(1, len(questions(situation.message)))

        def check(reply: Reply) -> None:
            if unknown := [fact for fact in reply.fact_ids if fact not in known]:
                raise ValueError(f"fact_ids: {unknown[0]!r} is not one of {', '.join(known)}")
            if len(set(reply.fact_ids)) > limit:
                raise ValueError(f"fact_ids: at most {limit}, one for each question")
            if not reply.reply.strip():
                raise ValueError("reply: is empty")

        reply, completion = await ask(self._model, self._request(situation, known), Reply, check)
        told = [known[name] for name in dict.fromkeys(reply.fact_ids)]
        unclear = [fact for fact in asked if fact.id not in known]
        usage = Usage(calls=1, prompt_tokens=completion.prompt_tokens, completion_tokens=completion.completion_tokens)
        return Reacted(rule.answer(situation, meta, [*told, *unclear], told, reply.reply.strip()), usage)

    def _request(self, situation: Situation, known: dict[str, Fact]) -> Request:
        system, user = load("user_answer").fill(
            facts="\n".join(f"{fact.id}: {fact.text}" for fact in known.values()),
            message=fence(situation.message, "message"),
            profile=situation.persona.profile,
            patience=situation.persona.patience,
        )
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        return self._sampling.request(messages, sample=situation.sample, seed=situation.seed)
