"""What a server does not take is found out once; the key stays secret; doctor makes a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, Plan
from command import Command, Ended, rows
from pydantic import BaseModel

from proact.errors import ModelError, UsageError
from proact.llm import Completion, Models, Options, Request

KEY = "sk-proj-4f1e9cSECRET"
PLAY = ("generate", "--mode", "synthetic", "--domain", "planning", "--n-states", 2, "--out", "t.jsonl")


class Reply(BaseModel):
    """The shape that is asked for here."""

    label: str


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer() as running:
        yield running


def request(number: int, schema: bool = False) -> Request:
    messages = [{"role": "user", "content": f"Say {number}."}]
    return Request(messages=messages, temperature=0.3, schema=Reply.model_json_schema() if schema else None)


def complete(server: ChatServer, *requests: Request, model: str = "openai:m", together: bool = False) -> list[Any]:
    """The replies to these requests, one after the other unless `together`."""

    async def run() -> list[Completion]:
        models = Models(Options(base_url=server.url), logged=False)
        opened = models.open(model)
        try:
            if together:
                return list(await asyncio.gather(*map(opened.complete, requests)))
            return [await opened.complete(each) for each in requests]
        finally:
            await models.close()

    return asyncio.run(run())


def test_refused_parameters_are_left_out_and_remembered(server: ChatServer) -> None:
    server.plan = Plan(refused=("seed", "temperature", "max_completion_tokens"))
    complete(server, request(1), request(2), request(3))
    assert server.refusals == 3
    assert server.total == 6
    for body in server.bodies[3:]:
        assert set(body) == {"model", "messages", "max_tokens"}
        assert body["max_tokens"] == 2048


def test_together_they_learn_it_together(server: ChatServer) -> None:
    server.plan = Plan(refused=("seed", "temperature"))
    complete(server, *map(request, range(8)), together=True)
    assert server.refusals <= 16
    assert sum("seed" not in body and "temperature" not in body for body in server.bodies) == 8


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        ({"error": {"message": "Unsupported value: 'temperature' does not support 0.3"}}, "temperature"),
        ({"error": {"message": "property 'seed' is unsupported"}}, "seed"),
        ({"error": {"message": "wrong", "param": "seed"}}, "seed"),
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]}, "seed"),
        ({"message": {"detail": [{"loc": ["body", "seed"], "input": "temperature"}]}}, "seed"),
        ({"object": "error", "message": "temperature isn't supported by this model", "param": None}, "temperature"),
        ({"error": {"message": "Unrecognized request argument supplied: seed", "param": None}}, "seed"),
        ([{"error": {"code": 400, "message": 'Unknown name "seed": Cannot find field.'}}], "seed"),
        ({"error": "`temperature` is deprecated for this model."}, "temperature"),
        ("Failed to deserialize: unknown field `seed`, expected one of `model`, `messages`", "seed"),
    ],
)
def test_the_ways_to_refuse_a_parameter(server: ChatServer, body: Any, gone: str) -> None:
    server.plan = Plan(script=[(422, {}, body if isinstance(body, str) else json.dumps(body))])
    complete(server, request(1))
    assert set(server.bodies[0]) - set(server.bodies[1]) == {gone}


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "max_completion_tokens is too large: 9, not 8", "param": "max_completion_tokens"}},
        {"error": {"message": "This prompt about seeds is too long", "param": "messages"}},
        {"error": {"message": "no"}},
        {"error": {"message": "Too long: Which temperature does a seed need? I use a json_schema."}},
        {"error": {"message": "Bad request: {'model': 'm', 'temperature': 0.3, 'seed': 7}"}},
        {"error": {"message": "no"}, "request": {"seed": 7, "prompt": "Is 'temperature' unsupported?"}},
        {"detail": [{"loc": ["body", "messages"], "msg": "Too long", "input": "Is 'seed' unsupported?"}]},
        "<html>Refused: What is the temperature?</html>",
    ],
)
def test_another_refusal_fails_the_request_and_teaches_nothing(server: ChatServer, body: Any) -> None:
    server.plan = Plan(script=[(400, {}, body if isinstance(body, str) else json.dumps(body))])
    with pytest.raises(ModelError, match="answered 400"):
        complete(server, request(1))
    assert server.total == 1


def test_calls_in_flight_learn_of_a_format_once(server: ChatServer) -> None:
    server.plan = Plan(refused=("response_format:json_schema",))
    complete(server, *(request(number, schema=True) for number in range(8)), together=True)
    taken = [body.get("response_format", {}).get("type") for body in server.bodies]
    assert taken.count("json_object") == 8
    assert None not in taken


def test_response_formats_are_tried_in_order_and_remembered(server: ChatServer) -> None:
    complete(server, request(1, schema=True))
    sent = server.bodies[0]["response_format"]
    assert (sent["type"], sent["json_schema"]["schema"]) == ("json_schema", Reply.model_json_schema())
    assert "schema" not in server.bodies[0]["messages"][-1]["content"]

    server.reset()
    server.plan = Plan(refused=("response_format:json_schema",))
    complete(server, request(1, schema=True), request(2, schema=True))
    assert server.refusals == 1
    assert [body["response_format"]["type"] for body in server.bodies[1:]] == ["json_object"] * 2
    assert '"label"' in server.bodies[-1]["messages"][-1]["content"]

    server.reset()
    server.plan = Plan(refused=("response_format",))
    complete(server, request(1, schema=True), request(2, schema=True), request(3))
    assert server.refusals == 2
    assert all("response_format" not in body for body in server.bodies[2:])
    assert '"label"' in server.bodies[-2]["messages"][-1]["content"]


def test_reasoning_models_get_no_temperature(server: ChatServer) -> None:
    complete(server, request(1), model="openai:o4-mini")
    assert "temperature" not in server.bodies[0]
    assert server.bodies[0]["max_completion_tokens"] == 2048


def test_a_name_with_a_colon_is_a_model_of_the_server(server: ChatServer) -> None:
    complete(server, request(1), model="llama3.2:1b")
    assert server.bodies[0]["model"] == "llama3.2:1b"


def test_a_missing_key_is_one_line_before_any_call(tmp_path: Path) -> None:
    ended = Command(tmp_path).run(*PLAY, "--model", "gpt-4o-mini")
    assert ended.code == 2
    assert ended.complaint.startswith("proact: openai:gpt-4o-mini needs a key: set OPENAI_API_KEY")
    assert not (tmp_path / "t.jsonl").exists()


def test_another_server_needs_no_key(tmp_path: Path, server: ChatServer) -> None:
    summary = Command(tmp_path, OPENAI_BASE_URL=server.url).ok(*PLAY, "--model", "m")
    assert summary["calls"] == server.total > 0


@pytest.mark.parametrize("line", ["OPENAI_API_KEY={}", 'export OPENAI_API_KEY="{}"', "\ufeffOPENAI_API_KEY='{}' "])
def test_the_key_of_a_dotenv_file_is_sent(tmp_path: Path, server: ChatServer, line: str) -> None:
    (tmp_path / ".env").write_text(f"{line.format(KEY)}\nOPENAI_BASE_URL={server.url}\n# OPENAI_API_KEY=no\n", "utf-8")
    arguments = ("doctor", "--call", "--model", "m")
    Command(tmp_path).ok(*arguments)
    Command(tmp_path, OPENAI_API_KEY="other").ok(*arguments)
    assert [headers["Authorization"] for headers in server.headers] == [f"Bearer {KEY}", "Bearer other"]


@pytest.mark.parametrize(
    ("more", "environment", "said"),
    [
        ((), {"OPENAI_API_KEY": "sk-\u2192"}, "OPENAI_API_KEY holds a character"),
        ((), {"OPENAI_API_KEY": "sk\nx"}, "OPENAI_API_KEY holds a character"),
        (("--base-url", "localhost:8000"), {}, "base URL localhost:8000: expected http"),
        (("--base-url", "http://[bad"), {}, "base URL http://[bad: expected http"),
        (("--base-url", "ftp://a/v1"), {}, "base URL ftp://a/v1: expected http"),
        (("--base-url", "http://a/v1?"), {}, "the base URL holds a query or a fragment"),
    ],
)
def test_what_cannot_work_is_said_before_any_call(
    tmp_path: Path, more: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    ended = Command(tmp_path, **environment).run(*PLAY, "--model", "m", *more)
    assert ended.code == 2
    assert said in ended.complaint
    assert not (tmp_path / "t.jsonl").exists()


def test_a_dotenv_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"OPENAI_API_KEY=caf\xe9\n")
    ended = Command(tmp_path).run(*PLAY, "--model", "m")
    assert ended.code == 2
    assert ended.complaint.startswith("proact: .env: cannot be read as UTF-8 text")


@pytest.mark.parametrize("line", [b"=SECRET", b" = ", b"export =SECRET", b"NAME=a\0SECRET", b"NA\0ME=SECRET"])
def test_a_line_of_a_dotenv_file_that_sets_nothing_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / ".env").write_bytes(b"# the key\r\nFINE=1\r\n" + line + b"\r\n")
    ended = Command(tmp_path).run(*PLAY, "--model", "m")
    assert ended.code == 2
    assert ended.complaint == "proact: .env:3: expected NAME=value that an environment can hold"


def test_the_key_is_in_no_output(tmp_path: Path, server: ChatServer) -> None:
    command = Command(tmp_path, OPENAI_API_KEY=KEY)
    arguments = [*PLAY, "--model", "m", "--base-url", server.url]
    ended: list[Ended] = []
    for status in (400, 401):
        server.plan = Plan(always=(status, {}, json.dumps({"error": {"message": f"bad key {KEY}"}})))
        ended.append(command.run(*arguments))
    server.plan = Plan()
    ended.append(command.run(*arguments, "--json"))
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    for url in ("http://user:SECRET@localhost/v1", f"{server.url}?api-key=SECRET", f"{server.url}#SECRET"):
        ended.append(command.run(*arguments, "--base-url", url))
    assert [each.code for each in ended] == [3, 2, 0, 2, 2, 2]
    assert "bad key ***" in ended[1].stderr
    printed = "".join(each.stdout + each.stderr for each in ended)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"calls" in written
    assert "SECRET" not in printed
    assert b"SECRET" not in written


def test_no_part_of_the_key_is_left_by_a_cut(tmp_path: Path, server: ChatServer) -> None:
    command = Command(tmp_path, OPENAI_API_KEY=KEY)
    for status in (400, 401):
        for before in range(180, 200, 3):
            said = {"error": {"message": f"{'x' * before} {KEY}"}}
            server.plan = Plan(always=(status, {}, json.dumps(said)))
            ended = command.run("doctor", "--call", "--model", "m", "--base-url", server.url, "--json")
            assert "xxx" in ended.stdout
            assert KEY[:4] not in ended.stdout + ended.stderr


def test_doctor_makes_one_small_call(tmp_path: Path, server: ChatServer) -> None:
    command = Command(tmp_path)
    arguments = ("doctor", "--call", "--model", "m", "--base-url", server.url, "--json")
    checks = command.ok(*arguments)["checks"]
    assert checks[-1]["ok"] is True
    assert "replied" in checks[-1]["finding"]
    assert server.total == 1
    server.plan = Plan(always=(401, {}, "{}"))
    ended = command.run(*arguments)
    assert ended.code == 1
    assert ended.summary["checks"][-1]["ok"] is False
    assert "the key was refused" in ended.summary["checks"][-1]["finding"]
    assert not rows(tmp_path / "t.jsonl")


def test_an_unknown_kind_of_model_names_the_choices(server: ChatServer) -> None:
    with pytest.raises(UsageError, match="openai"):
        Models(Options(), logged=False).open("gpt4all:x")
