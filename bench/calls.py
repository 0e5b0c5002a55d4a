"""Calls per second of a paid stage, against the bare openai client and against raw HTTP.

    python bench/calls.py [--calls 3000] [--rounds 5] [--in-flight 64]

The server answers at once, in a process of its own; every round starts with a cold cache and a new output. Figures of
a busy machine move together, so read the ratios. A floor that made no call is an error, never a division.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from proact.domains import domain
from proact.keys import digest
from proact.llm import Models, Options, Sampling
from proact.records import Persona, ReactionMeta, State, Trajectory, Usage, UserReaction
from proact.render import instructed
from proact.stage import Job, Paid, run_paid

REPLY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Here is the plan. " * 20},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 60, "completion_tokens": 90, "total_tokens": 150},
    }
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(REPLY), REPLY)
PERSONA = Persona(name="bench", domain="planning", profile="I plan events now and then.")
Measured = Callable[[str, int, int], int]


class Server(asyncio.Protocol):
    """Answers every whole request with the same completion."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._seen = transport, b""

    def data_received(self, data: bytes) -> None:
        self._seen += data
        while (end := self._seen.find(b"\r\n\r\n")) >= 0:
            head = self._seen[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self._seen) < end + 4 + length:
                return
            self._seen = self._seen[end + 4 + length :]
            self._transport.write(ANSWER)


async def serve() -> None:
    """Print the port, then answer until stdin closes."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def serving() -> Iterator[str]:
    """The URL of a server in a process of its own."""
    process = subprocess.Popen([sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        port = process.stdout.readline().decode().strip()
        if not port:
            raise SystemExit("the server did not start: nothing was measured")
        yield f"http://127.0.0.1:{port}/v1"
        assert process.stdin is not None
        process.stdin.close()


def states(calls: int) -> list[State]:
    query = "Plan a garden party for 20 people in June. It must stay under 500 euros and end before ten in the evening."
    return [
        State(id=f"bench-{n}", domain="planning", query=f"{query} ({n})", task_uncertainty=0.5) for n in range(calls)
    ]


async def spread(one: Callable[[State], Awaitable[bool]], calls: int, in_flight: int) -> int:
    """Call `one` for every state, `in_flight` at a time; returns how many said that they went well."""
    pending = iter(states(calls))
    done = 0

    async def work() -> None:
        nonlocal done
        for state in pending:
            well = await one(state)
            done += well

    await asyncio.gather(*(work() for _ in range(in_flight)))
    return done


def bare_http(url: str, calls: int, in_flight: int) -> int:
    """The floor: aiohttp, and a reply that is only decoded."""
    import aiohttp

    async def run() -> int:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

            async def one(state: State) -> bool:
                try:
                    async with session.post(f"{url}/chat/completions", json=body(state)) as response:
                        return response.status == 200 and bool((await response.json())["choices"])
                except aiohttp.ClientError:
                    return False

            return await spread(one, calls, in_flight)

    return asyncio.run(run())


def bare_client(url: str, calls: int, in_flight: int) -> int:
    """The peer: the openai package's client on aiohttp, posting without its typed request."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    async def run() -> int:
        http = DefaultAioHttpClient()
        async with AsyncOpenAI(api_key="none", base_url=url, http_client=http, max_retries=0) as client:

            async def one(state: State) -> bool:
                reply = await client.post("/chat/completions", cast_to=object, body=body(state))
                return isinstance(reply, dict) and bool(reply["choices"])

            return await spread(one, calls, in_flight)

    return asyncio.run(run())


def paid_stage(url: str, calls: int, in_flight: int) -> int:
    """proact: prompts, limits, the durable call log, records with their stamps, progress and resume."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROACT_CACHE_DIR"] = folder
        models = Models(Options(base_url=url, concurrency=in_flight))
        model, sampling = models.open("openai:bench"), Sampling(temperature=0.3)

        async def step(state: State) -> list[Trajectory]:
            messages = [{"role": "user", "content": state.query}]
            request, prompt = instructed(messages, domain("planning").prompt("Execute"), PERSONA)
            said = await model.complete(sampling.request(request, sample=0, seed=0))
            return [trajectory(state, prompt, said.text, said.prompt_tokens, said.completion_tokens)]

        paid = Paid("bench", Path(folder, "out.jsonl"), {"model": "bench"}, concurrency=in_flight)
        work = states(calls)
        jobs = [Job(state.id, digest(state, PERSONA), state) for state in work]
        summary = run_paid(lambda: jobs, step, paid, sync=models.sync, close=models.close)
        return summary.done


def body(state: State) -> dict[str, object]:
    messages, _ = instructed([{"role": "user", "content": state.query}], domain("planning").prompt("Execute"), PERSONA)
    return {"model": "bench", "messages": messages, "temperature": 0.3, "seed": 1, "max_completion_tokens": 2048}


def trajectory(state: State, prompt: str, text: str, prompt_tokens: int, completion_tokens: int) -> Trajectory:
    return Trajectory(
        id=f"{state.id}/mainline",
        group=state.id,
        conversation=state.id,
        state=state,
        action="Execute",
        action_prompt=prompt,
        assistant_msg=text,
        persona=PERSONA,
        user_reaction=UserReaction(user_reply="Thanks.", meta=ReactionMeta()),
        is_mainline=True,
        messages=[{"role": "user", "content": state.query}, {"role": "assistant", "content": text}],
        at=1,
        usage=Usage(calls=1, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens),
    )


CONTENDERS: dict[str, Measured] = {
    "raw aiohttp": bare_http,
    "openai client.post": bare_client,
    "proact": paid_stage,
}


def measure(url: str, calls: int, rounds: int, in_flight: int) -> dict[str, list[float]]:
    """Calls per second of each contender in each round. Raises SystemExit when one of them did not do its calls."""
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for place in range(rounds + 1):
        for name, contender in CONTENDERS.items():
            started = time.perf_counter()
            done = contender(url, calls if place else 64, in_flight)
            seconds = time.perf_counter() - started
            if done != (calls if place else 64) or not done:
                raise SystemExit(f"{name}: only {done} of {calls} calls went well; nothing can be compared with that")
            if place:
                rates[name].append(done / seconds)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--url", help="Measure against this server instead of starting one.")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(serve())
        return
    if asked.url:
        rates = measure(asked.url, asked.calls, asked.rounds, asked.in_flight)
    else:
        with serving() as url:
            rates = measure(url, asked.calls, asked.rounds, asked.in_flight)
    peer = rates["openai client.post"]
    for name, each in rates.items():
        ratio = median(own / other for own, other in zip(each, peer, strict=True))
        line = f"{name:20} {median(each):8.0f} calls/s   {ratio:5.2f} of client.post"
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
