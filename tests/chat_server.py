"""An OpenAI-compatible server on 127.0.0.1 whose replies, and whose faults, follow from the requests alone."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from proact.keys import digest
from proact.llm import Request
from proact.llm.synthetic import Synthetic

QUARTER = {"429": 0.05, "500": 0.05, "drop": 0.05, "length": 0.05, "malformed": 0.05}
Body = dict[str, Any]


@dataclass
class Plan:
    """How the server behaves. `faults` are rates that sum to at most 1, drawn by request body and attempt."""

    faults: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    delay: float = 0.0
    refused: tuple[str, ...] = ()
    """Body fields answered with 400; `response_format:json_schema` refuses that type alone."""
    always: tuple[int, dict[str, str], str] | None = None
    """Status, headers and body that answer everything."""
    script: list[Any] = field(default_factory=list)
    """What the next requests are answered with, at once: a text, a fault's name, (status, headers, body), or the
    bytes of what need not be HTTP."""


class ChatServer:
    """Runs in a thread of its own: `with ChatServer() as server`, then `server.url`."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan or Plan()
        self.reset()

    def reset(self) -> None:
        """Forget what was asked so far."""
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.outcomes: list[tuple[Body, bool]] = []
        """The bodies that got a completion, and whether it was one without a text."""
        self.refusals = self.in_flight = self.most_in_flight = self.answered = 0
        self.changed = threading.Condition()

    @property
    def total(self) -> int:
        return len(self.bodies)

    def wait_for(self, requests: int, seconds: float = 20.0) -> bool:
        """Whether that many requests have come within the time."""
        with self.changed:
            return self.changed.wait_for(lambda: self.total >= requests, seconds)

    def pause(self, seconds: float) -> None:
        """Let that much time go by, while the server goes on."""
        with self.changed:
            self.changed.wait_for(lambda: False, seconds)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/stats", self._stats)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.root = "http://{}:{}".format(*self._runner.addresses[0][:2])
        self.url = f"{self.root}/v1"

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"total": self.total, "answered": self.answered, "faults": self.faults, "counts": self.counts}
        )

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        key = digest(body)
        with self.changed:
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
            self.times.append(self._loop.time())
            self.counts[key] += 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.changed.notify_all()
        try:
            return await self._answer(request, body, key)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.Request, body: Body, key: str) -> web.StreamResponse:
        plan = self.plan
        if name := refused(body, plan.refused):
            self.refusals += 1
            return _error(400, f"Unsupported parameter: '{name}' is not supported with this model.", param=name)
        said = plan.script.pop(0) if plan.script else None
        if said is None:
            said = plan.always
            await asyncio.sleep(plan.delay)
        if isinstance(said, bytes):
            return _raw(request, said)
        if isinstance(said, tuple):
            status, headers, text = said
            return web.Response(status=status, headers=headers, text=text, content_type="application/json")
        fault = said if said in FAULTS else None if said is not None else self._fault(key)
        if fault is not None:
            self.faults[fault] += 1
            if fault == "length":
                self.outcomes.append((body, True))
            return await FAULTS[fault](request, body)
        self.answered += 1
        self.outcomes.append((body, False))
        return completion(await reply(body) if said is None else said)

    def _fault(self, key: str) -> str | None:
        drawn = random.Random(f"{self.plan.seed}/{key}/{self.counts[key]}").random()
        for name, rate in self.plan.faults.items():
            drawn -= rate
            if drawn < 0:
                return name
        return None


async def reply(body: Body) -> str:
    """What the model says: a function of the messages, the seed and the schema that is asked for."""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    said = await Synthetic().complete(Request(messages=body["messages"], seed=body.get("seed", 0), schema=schema))
    return said.text


def refused(body: Body, names: tuple[str, ...]) -> str | None:
    for name in names:
        field_name, _, kind = name.partition(":")
        if field_name in body and (not kind or body[field_name].get("type") == kind):
            return field_name
    return None


def completion(text: str | None, finish_reason: str = "stop", tokens: int = 10) -> web.Response:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 20, "completion_tokens": tokens, "total_tokens": 20 + tokens}
    return web.json_response({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})


def _error(status: int, message: str, headers: dict[str, str] | None = None, **more: str) -> web.Response:
    return web.json_response({"error": {"message": message, **more}}, status=status, headers=headers)


def _raw(request: web.Request, said: bytes) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(said)
    request.transport.close()
    return web.Response()


async def _busy(request: web.Request, body: Body) -> web.StreamResponse:
    return _error(429, "slow down", {"Retry-After": "0.05"})


async def _broken(request: web.Request, body: Body) -> web.StreamResponse:
    return _error(500, "out of order")


async def _dropped(request: web.Request, body: Body) -> web.StreamResponse:
    """The connection ends in the middle of the reply."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    assert request.transport is not None
    request.transport.abort()
    return response


async def _length(request: web.Request, body: Body) -> web.StreamResponse:
    return completion(None, "length", tokens=body.get("max_completion_tokens") or body.get("max_tokens") or 0)


async def _malformed(request: web.Request, body: Body) -> web.StreamResponse:
    return web.Response(text='{"choices": [{"message": ', content_type="application/json")


async def _empty(request: web.Request, body: Body) -> web.StreamResponse:
    return completion("")


async def _silent(request: web.Request, body: Body) -> web.StreamResponse:
    await asyncio.sleep(30)
    return completion("too late")


FAULTS = {
    "429": _busy,
    "500": _broken,
    "drop": _dropped,
    "length": _length,
    "malformed": _malformed,
    "empty": _empty,
    "silent": _silent,
}
