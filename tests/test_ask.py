"""ask(): a reply in the shape that was asked for, or an error that keeps what came instead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from chat_server import ChatServer, Plan
from command import Command, rows
from pydantic import BaseModel, Field

from proact.errors import ReplyError
from proact.llm import Completion, Request, ask
from proact.llm.openai import OpenAI


class Part(BaseModel):
    """A nested object."""

    name: str
    score: float = Field(ge=0, le=1)


class Reply(BaseModel):
    """The shape that is asked for."""

    label: Literal["GOOD", "BAD"]
    parts: list[Part]


GOOD = {"label": "GOOD", "parts": [{"name": "a", "score": 0.5}]}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer() as running:
        yield running


def asked(server: ChatServer, *texts: str, check: Callable[[Reply], None] | None = None) -> tuple[Reply, Completion]:
    """What ask() makes of these replies."""
    server.plan = Plan(script=list(texts))

    async def run() -> tuple[Reply, Completion]:
        model = OpenAI("m", base_url=server.url)
        try:
            return await ask(model, Request(messages=[{"role": "user", "content": "Judge."}]), Reply, check)
        finally:
            await model.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        f"```json\n{json.dumps(GOOD, indent=2)}\n```",
        f"Let me think: {{x}} and {{}}. My verdict is {json.dumps(GOOD)}, and {{that}} is all.",
        json.dumps({**GOOD, "extra": {"label": "BAD"}}),
        f"{json.dumps(GOOD)}\n\n{json.dumps(GOOD)}",
        f'Its code holds {{"name": "a", "score": NaN}} and {{"grade": "BAD", "score": 7}}. {json.dumps(GOOD)}',
    ],
)
def test_a_reply_is_found_in_whatever_stands_around_it(server: ChatServer, text: str) -> None:
    reply, _ = asked(server, text)
    assert reply == Reply.model_validate(GOOD)
    assert server.total == 1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (json.dumps({**GOOD, "label": "FINE"}), "label: "),
        (json.dumps({"label": "GOOD"}), "parts: Field required"),
        (json.dumps({"label": "GOOD", "parts": [{"name": "a", "score": 7}]}), "parts.0.score: "),
        (json.dumps({"label": "GOOD", "parts": [{"name": 3, "score": 1}]}), "parts.0.name: "),
        ('{"label": "GOOD", "parts": [{"name": "a", "score": NaN}]}', ""),
        ("I would say it is good.", "there is no JSON object in it"),
        ("{" * 5000, "there is no JSON object in it"),
        (f'It says {{"label": "BAD", "parts": []}}. {json.dumps(GOOD)}', "it holds 2 JSON objects, and they differ"),
        (f'It says {json.dumps(GOOD)}. {{"label": "BAD"}}', "parts: Field required"),
        (f'It says {json.dumps(GOOD)}. {{"parts": [], "label": "FINE"}}', "label: "),
        (f'{{"label": "BAD", "parts": [1]}}. It says {json.dumps(GOOD)}', "parts.0: "),
        (f'It says {json.dumps(GOOD)}. {{"label": "BAD", "parts": [', "its JSON object is malformed: "),
        (f'It says {json.dumps(GOOD)}. {{"label": "so "bad"", "parts": []}}', "its JSON object is malformed: "),
        (f'It says {json.dumps(GOOD)}. {{"x": {"[" * 100_000}', "it is nested too deeply"),
    ],
)
def test_a_reply_that_does_not_fit_is_shown_its_error_once(server: ChatServer, text: str, named: str) -> None:
    reply, completion = asked(server, text, json.dumps(GOOD))
    assert reply.label == "GOOD"
    assert server.total == 2
    assert (completion.prompt_tokens, completion.completion_tokens) == (40, 20)
    first, second = (body["messages"] for body in server.bodies)
    assert second[: len(first)] == first
    assert second[-2] == {"role": "assistant", "content": text}
    assert second[-1]["role"] == "user"
    assert named in second[-1]["content"]


def test_after_the_second_misfit_the_raw_reply_is_kept(server: ChatServer) -> None:
    with pytest.raises(ReplyError) as caught:
        asked(server, "no", '{"label": "MAYBE", "parts": []}')
    assert caught.value.raw == '{"label": "MAYBE", "parts": []}'
    assert "label: " in str(caught.value)
    assert server.total == 2


def test_a_check_may_refuse_a_reply_that_fits(server: ChatServer) -> None:
    def check(reply: Reply) -> None:
        if not reply.parts:
            raise ValueError("parts: at least one")

    reply, _ = asked(server, '{"label": "GOOD", "parts": []}', json.dumps(GOOD), check=check)
    assert reply.parts
    assert "parts: at least one" in server.bodies[1]["messages"][-1]["content"]
    server.reset()
    asked(server, f'It says {json.dumps(GOOD)}. {{"label": "GOOD", "parts": []}}', json.dumps(GOOD), check=check)
    assert "parts: at least one" in server.bodies[1]["messages"][-1]["content"]


def test_lone_surrogates_inside_a_reply_become_replacement_characters(server: ChatServer) -> None:
    reply, _ = asked(server, '{"label": "GOOD", "parts": [{"name": "a\\ud83d", "score": 1}]}')
    assert reply.parts[0].name == "a\ufffd"


def test_a_raw_reply_stands_in_the_failure_line(tmp_path: Path, server: ChatServer) -> None:
    said = {"choices": [{"message": {"content": "I would ask \ud83d."}}]}
    server.plan = Plan(always=(200, {}, json.dumps(said)))
    play = ("generate", "--mode", "synthetic", "--domain", "planning", "--n-states", 2, "--out", "t.jsonl")
    ended = Command(tmp_path).run(*play, "--policy", "prompted", "--model", "m", "--base-url", server.url)
    assert ended.code == 3
    failures = rows(tmp_path / "t.failures.jsonl")
    assert len(failures) == 6
    assert {(failure["error"], failure["raw"]) for failure in failures} == {("ReplyError", "I would ask \ufffd.")}
    assert not rows(tmp_path / "t.jsonl")
