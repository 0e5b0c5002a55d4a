"""How a model is asked again: finite attempts, one pause shared by all calls to an endpoint, and a budget."""

from __future__ import annotations

import asyncio
import random
import time

import msgspec

from proact.errors import BudgetReached, ModelError, ReplyError, Taken, TransientError
from proact.keys import digest64
from proact.llm.base import ChatModel, Completion, Request

LONGEST_PAUSE = 600.0


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The one retry policy; times in seconds, prices in dollars per million tokens (prompt, completion)."""

    concurrency: int = 32
    attempts: int = 3
    base_delay: float = 1.0
    price: tuple[float, float] | None = None
    budget: float | None = None


class Gate:
    """What all calls to one endpoint share: places in flight, and the moment before which nobody asks again."""

    def __init__(self, endpoint: str, concurrency: int) -> None:
        self.places = asyncio.Semaphore(concurrency)
        self.open_at = 0.0
        self.jitter = random.Random(digest64(endpoint))

    async def passed(self) -> None:
        while (wait := self.open_at - time.monotonic()) > 0:
            # Without jitter every waiting call would arrive in the same instant.
            await asyncio.sleep(wait + self.jitter.random() * min(1.0, 0.25 * wait))

    def shut(self, seconds: float) -> None:
        self.open_at = max(self.open_at, time.monotonic() + seconds)


class Limits:
    """The gates and the money of one run; every model of the run is wrapped by the same Limits."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.spent = 0.0
        self._gates: dict[str, Gate] = {}

    def gate(self, endpoint: str) -> Gate:
        return self._gates.setdefault(endpoint, Gate(endpoint, self.policy.concurrency))

    def charge(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """The price of a reply, None when no price is known."""
        if self.policy.price is None:
            return None
        each = self.policy.price
        cost = (prompt_tokens * each[0] + completion_tokens * each[1]) / 1e6
        self.spent += cost
        return cost

    def check_budget(self) -> None:
        budget = self.policy.budget
        if budget is not None and self.spent >= budget:
            raise BudgetReached(f"the budget of ${budget:g} is spent; run the same command with a larger --budget")


class Limited:
    """A model that is asked again when that can help, and never more often than the policy says."""

    def __init__(self, model: ChatModel, limits: Limits) -> None:
        self.name, self.endpoint = model.name, model.endpoint
        self._model, self._limits = model, limits
        self._gate = limits.gate(model.endpoint)

    async def complete(self, request: Request) -> Completion:
        taken = Taken()
        try:
            completion = await self._usable(request, taken)
        except ModelError as error:
            error.taken = taken
            raise
        return msgspec.structs.replace(completion, attempts=taken.attempts, wasted=taken.wasted, cost=taken.cost)

    async def _usable(self, request: Request, taken: Taken) -> Completion:
        """The first reply with a text in it; `taken` counts what the attempts took."""
        policy, grown = self._limits.policy, False
        while True:
            taken.attempts += 1
            try:
                completion = await self._once(request)
            except TransientError as error:
                if taken.attempts >= policy.attempts:
                    raise ModelError(f"{error} (gave up after {taken.attempts} attempts)") from error
                await self._back_off(
                    error, policy.base_delay * 2 ** (taken.attempts - 1) * (0.5 + self._gate.jitter.random())
                )
                continue
            if (cost := self._limits.charge(completion.prompt_tokens, completion.completion_tokens)) is not None:
                taken.cost = (taken.cost or 0.0) + cost
            if completion.text.strip():
                return completion
            taken.wasted += completion.prompt_tokens + completion.completion_tokens
            if completion.finish_reason == "length" and not grown:
                grown, longer = True, request.max_completion_tokens * 4
                request = msgspec.structs.replace(request, max_completion_tokens=longer)
            elif completion.finish_reason == "length":
                tokens = request.max_completion_tokens
                raise ReplyError(f"{self.name} spent {tokens} completion tokens without writing any text", raw="")
            elif taken.attempts >= policy.attempts:
                reason = completion.finish_reason
                raise ReplyError(
                    f"{self.name} gave an empty reply {taken.attempts} times (finish_reason {reason})", raw=""
                )

    async def _once(self, request: Request) -> Completion:
        # The gate is looked at again with a place in hand: it may have shut while this call was queueing.
        async with self._gate.places:
            await self._gate.passed()
            self._limits.check_budget()
            return await self._model.complete(request)

    async def _back_off(self, error: TransientError, delay: float) -> None:
        if error.retry_after is None:
            await asyncio.sleep(delay)
        elif error.retry_after > LONGEST_PAUSE:
            raise ModelError(f"{error} (the server asks to wait {error.retry_after:.0f} s)") from error
        else:
            self._gate.shut(error.retry_after)
            await asyncio.sleep(error.retry_after + min(delay, 0.25 * error.retry_after + 0.05))

    async def close(self) -> None:
        await self._model.close()
