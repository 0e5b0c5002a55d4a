"""What several tests use: the command line as a process, JSONL files, and a small chat server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple, Protocol, Self

Row = dict[str, Any]
REPOSITORY = Path(__file__).parent.parent
EXAMPLES = REPOSITORY / "examples"


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Cli(Protocol):
    """Runs `proact` with these arguments; keywords are environment variables."""

    def __call__(self, *args: object, **env: str) -> Ran: ...


class Zygote:
    """Runs commands as forks of one process that has done the imports (see zygote.py)."""

    def __init__(self, folder: Path, *modules: str) -> None:
        self._files = folder / "out", folder / "err"
        command = [sys.executable, "-W", "error", str(Path(__file__).with_name("zygote.py")), *modules]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *args: object, **env: str) -> Ran:
        request = {
            "arguments": [str(argument) for argument in args],
            "folder": str(Path.cwd()),
            "environment": {**os.environ, **env},
            "out": str(self._files[0]),
            "err": str(self._files[1]),
        }
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Ran(code, *(path.read_text("utf-8") for path in self._files))

    def close(self) -> None:
        self._process.communicate()


def run(*args: object, **env: str) -> Ran:
    command = [sys.executable, "-W", "error", "-m", "proact", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, timeout=120, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def succeeded(ran: Ran, code: int = 0) -> Ran:
    assert ran.code == code, ran.err
    return ran


def write_lines(path: Path | str, rows: Iterable[Row]) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_lines(path: Path | str = "data/logs/trajectories.jsonl") -> list[Row]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def sorted_lines(path: Path | str = "data/logs/trajectories.jsonl") -> list[str]:
    return sorted(Path(path).read_text(encoding="utf-8").splitlines())


def state(name: str = "double", **fields: Any) -> Row:
    """A small coding task; `fields` replace its own."""
    return {
        "id": name,
        "domain": "coding",
        "query": "Write a Python function that doubles a number.",
        "task_uncertainty": 0.8,
        "facts": [{"id": "name", "text": "The function is called twice.", "about": "name of the function, called"}],
        "tests": ["assert twice(2) == 4", "assert twice(-1) == -2"],
        **fields,
    }


def persona(name: str = "pat", **fields: Any) -> Row:
    return {"name": name, "expertise": "mid", "patience": "mid", **fields}


RIGHT = "```python\ndef twice(n):\n    return 2 * n\n```"
WRONG = "```python\ndef twice(n):\n    return n\n```"
ASKS = "What should the function be called?"


class Server:
    """A chat server on a free port: `answer` makes the reply of each request body, and `bodies` keeps them all."""

    def __init__(self) -> None:
        self.bodies: list[Row] = []
        self.answer: Callable[[Row], str] = lambda body: RIGHT
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.bodies.append(body)
                message = {"role": "assistant", "content": outer.answer(body)}
                usage = {"prompt_tokens": 7, "completion_tokens": 3}
                reply = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
                content = json.dumps(reply).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def asked_to_ask(body: Row) -> bool:
    """Whether the request holds the instruction to clarify."""
    return "question" in str(body["messages"][-1]["content"]).rpartition("\n\n")[2]
