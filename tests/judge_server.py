"""A chat server on this machine that answers as a test wants it to, and the command line against it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self
from unittest import mock

from aiohttp import web

from proact import cli

Body = dict[str, Any]


class Answer(NamedTuple):
    """What the server says to one request."""

    text: str | None = ""
    status: int = 200
    finish: str = "stop"
    headers: dict[str, str] = {}
    body: str | None = None
    wait: float = 0.0


class JudgeServer:
    """Serves until the block ends. `paid` counts, per request, the replies that were given."""

    def __init__(self, answer: Callable[[Body, int], Answer | str]) -> None:
        self._answer = answer
        self.requests: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.paid: Counter[str] = Counter()
        self._tries: Counter[str] = Counter()
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", self._chat)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    async def _chat(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        key = json.dumps(body["messages"])
        self._tries[key] += 1
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        answer = self._answer(body, self._tries[key])
        if isinstance(answer, str):
            answer = Answer(answer)
        if answer.wait:
            await asyncio.sleep(answer.wait)
        if answer.body is not None or answer.status != 200:
            text = answer.body or json.dumps({"error": {"message": f"status {answer.status}"}})
            return web.Response(text=text, status=answer.status, headers=answer.headers)
        self.paid[key] += 1
        choice = {"message": {"role": "assistant", "content": answer.text}, "finish_reason": answer.finish}
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        return web.json_response({"choices": [choice], "usage": usage})


def asked(body: Body) -> str:
    """What the judge is asked about: the first user message, without what a repair appends."""
    return str(body["messages"][1]["content"])


def judge_of(body: Body) -> str:
    """Which judge sent a request."""
    opening = str(body["messages"][0]["content"])
    signs = {"classify feedback": "feedback", "examiner": "correctness", "respected": "compliance"}
    signs |= {"contradict": "conflict", "trajectories": "ruler", "polite": "politeness"}
    return next(judge for sign, judge in signs.items() if sign in opening)


def good(body: Body) -> dict[str, Any]:
    """A reply that fits any shipped judge."""
    judge, text = judge_of(body), asked(body)
    if judge == "feedback":
        return {"label": "pos_progress", "confidence": 0.9, "rationale": "It goes on."}
    if judge == "correctness":
        return {"is_correct": True, "confidence": 0.8, "reasoning": "The same."}
    if judge == "compliance":
        numbers = [int(number) for number in re.findall(r'<preference number="(\d+)">', text)]
        violated = [{"preference": number, "type": "wrong_format"} for number in numbers[1:2]]
        fields = {"applicable_preferences": numbers[:2], "followed": numbers[:1], "violated": violated}
        return {**fields, "over_personalization": numbers[2:3], "explanation": "One of two."}
    if judge == "conflict":
        return {"preference_applied": 1, "confused_behavior": False, "explanation": "The first."}
    if judge == "politeness":
        return {"politeness": 0.5}
    ids = re.findall(r'<trajectory id="(\d+)">', text)
    return {"scores": [{"trajectory_id": name, "explanation": "Fine.", "score": 0.5} for name in ids]}


class Shell:
    """The command line in a folder, with a cache of its own and without the caller's key or server."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PROACT_"))}
        self.environment = {**kept, "PROACT_CACHE_DIR": str(folder / "cache")}

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """A command as a process of its own, which can be killed."""
        return subprocess.Popen(
            [sys.executable, "-m", "proact", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def call(self, *arguments: object) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of a command that runs in this process, which saves starting one."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        code = 0
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self.environment, clear=True),
            mock.patch.object(sys, "argv", ["proact", *map(str, arguments)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                cli.main()
            except SystemExit as end:
                code = int(end.code or 0)
        texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
        return code, texts[0], texts[1]

    def run(self, *arguments: object, code: int = 0) -> dict[str, Any]:
        """The summary of a command that ends with this exit code."""
        ended, out, err = self.call(*arguments, "--json")
        assert ended == code, (ended, err[-2000:])
        found: dict[str, Any] = json.loads(out)
        return found

    def complaint(self, *arguments: object) -> tuple[int, str]:
        """The exit code and the one line of a command that is refused."""
        code, _, err = self.call(*arguments)
        return code, err.strip()

    def rows(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def write(self, name: str, rows: Iterable[dict[str, Any]]) -> Path:
        path = self.folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return path


def dialogue(*texts: str) -> list[dict[str, Any]]:
    """Messages of a user and an assistant in turn."""
    return [{"role": ("user", "assistant")[index % 2], "content": text} for index, text in enumerate(texts)]
