"""The embedded model, really loaded: what it returns, what it refuses, and that a process with it ends cleanly."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from proact.cache import cache_dir
from proact.errors import ModelError, UsageError
from proact.llm import weights
from proact.llm.base import Completion, Request
from proact.llm.local import CONTEXT, LocalModel

pytestmark = pytest.mark.local_model


KEPT = cache_dir()


@pytest.fixture(scope="module", autouse=True)
def fetched() -> None:
    weights.fetch()


@pytest.fixture(autouse=True)
def weights_at_hand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other test has an empty cache of its own; these need what was fetched."""
    monkeypatch.setenv("PROACT_CACHE_DIR", str(KEPT))


@pytest.fixture(scope="module")
def model() -> LocalModel:
    return LocalModel("smollm2")


def request(text: str, **settings: Any) -> Request:
    return Request(messages=[{"role": "user", "content": text}], **{"max_completion_tokens": 40, **settings})


def complete(model: LocalModel, *requests: Request) -> list[Completion]:
    async def together() -> list[Completion]:
        return await asyncio.gather(*(model.complete(one) for one in requests))

    return asyncio.run(together())


def test_a_chat_completes(model: LocalModel) -> None:
    assert model.name == "local:smollm2"
    assert model.endpoint.startswith("local:")
    (reply,) = complete(model, request("Write a Python function is_even(n).", temperature=0, max_completion_tokens=200))
    assert "n % 2 == 0" in reply.text
    assert reply.finish_reason == "stop"
    assert reply.prompt_tokens > 10
    assert 0 < reply.completion_tokens < 200


def test_the_same_request_gives_the_same_reply(model: LocalModel) -> None:
    first = request("Tell me a story.", temperature=0.8)
    between = request("Tell me a story about a cat.", temperature=0.8)
    replies = [complete(model, one)[0] for one in (first, between, first)]
    assert replies[0] == replies[2]


def test_samples_differ(model: LocalModel) -> None:
    replies = complete(model, *(request("Tell me a story.", temperature=0.8, sample=number) for number in range(4)))
    assert len({reply.text for reply in replies}) == 4


def test_the_event_loop_stays_free(model: LocalModel) -> None:
    async def longest_pause() -> float:
        replies = [asyncio.ensure_future(model.complete(request(f"Count from {n}."))) for n in range(4)]
        longest = 0.0
        while not all(reply.done() for reply in replies):
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - before)
        return longest

    assert asyncio.run(longest_pause()) < 0.5


class Decision(BaseModel):
    action: Literal["Clarify", "Execute"]
    sure: bool


def test_a_schema_gives_valid_json(model: LocalModel) -> None:
    asked = "Should I ask first, or answer now?"
    (reply,) = complete(model, request(asked, schema=Decision.model_json_schema(), max_completion_tokens=400))
    assert reply.finish_reason == "stop"
    Decision.model_validate_json(reply.text)


def test_a_prompt_that_does_not_fit_names_the_sizes(model: LocalModel) -> None:
    with pytest.raises(ModelError, match=rf"the prompt has \d{{4}} tokens, the embedded model holds {CONTEXT}"):
        complete(model, request("word " * 3000))


def test_a_reply_ends_where_the_context_does(model: LocalModel) -> None:
    (reply,) = complete(model, request("word " * 1990, max_completion_tokens=4000))
    assert reply.finish_reason in ("stop", "length")
    assert reply.prompt_tokens + reply.completion_tokens <= CONTEXT


def test_a_request_that_the_engine_refuses(model: LocalModel) -> None:
    with pytest.raises(ModelError, match="refused"):
        complete(model, request("Hi", schema={"type": "nonsense"}))


def test_a_cancelled_request_frees_its_slot(model: LocalModel) -> None:
    async def cancel() -> float:
        long = [asyncio.ensure_future(model.complete(request("Count to 9999.", max_completion_tokens=1900)))] * 4
        await asyncio.sleep(0.5)
        for reply in long:
            reply.cancel()
        await asyncio.gather(*long, return_exceptions=True)
        before = time.perf_counter()
        await model.complete(request("Hi", max_completion_tokens=3))
        return time.perf_counter() - before

    assert asyncio.run(cancel()) < 3


def test_two_models_share_one_engine(model: LocalModel) -> None:
    assert LocalModel("smollm2")._engine is model._engine


def test_a_file_of_ones_own(model: LocalModel, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.symlink_to(weights.path("smollm2"))
    other = LocalModel(str(mine))
    assert other.name == f"local:{mine}"
    assert other.endpoint == model.endpoint


def test_a_damaged_gguf(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(weights.path("smollm2").read_bytes()[:5_000_000])
    with pytest.raises(UsageError, match="cannot load it"):
        complete(LocalModel(str(damaged)), request("Hi"))


def test_missing_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROACT_CACHE_DIR", str(tmp_path))
    with pytest.raises(UsageError, match="proact models fetch"):
        LocalModel("smollm2")


def test_missing_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'proact\[local\]'"):
        LocalModel("smollm2")


SCRIPT = """
import asyncio, sys
from proact.llm.base import Request
from proact.llm.local import LocalModel
model = LocalModel("smollm2")
def ask(tokens):
    return model.complete(Request(messages=[{"role": "user", "content": "Count."}], max_completion_tokens=tokens))
async def main():
    await ask(3)
    sys.stdout.write("loaded\\n")
    sys.stdout.flush()
    await asyncio.gather(*(ask(int(sys.argv[1])) for _ in range(6)))
asyncio.run(main())
sys.exit(5)
"""


def started(tokens: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCRIPT, str(tokens)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_the_process_ends_quietly_with_its_own_exit_code() -> None:
    with started(5) as process:
        out, noise = process.communicate(timeout=120)
    assert (process.returncode, out, noise) == (5, "loaded\n", "")


def test_an_interrupted_process_ends_at_once() -> None:
    with started(1900) as process:
        assert process.stdout
        assert process.stdout.readline() == "loaded\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        before = time.perf_counter()
        _, noise = process.communicate(timeout=60)
    assert time.perf_counter() - before < 10
    assert process.returncode == -signal.SIGINT
    assert noise.rstrip().endswith("KeyboardInterrupt")
    assert "terminate called" not in noise
