"""How a model on a server is asked again: finite attempts, one pause for all, and a home for every status."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from chat_server import ChatServer, Plan

from proact.errors import ModelError, ProactError, ReplyError, TransientError, UsageError
from proact.llm import Completion, Request
from proact.llm.endpoint import retry_after
from proact.llm.limits import Limited, Limits, Policy
from proact.llm.openai import OpenAI

CALM = Policy(base_delay=0.01)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ChatServer() as running:
        yield running


def request(number: int = 0, **settings: object) -> Request:
    fields = {"messages": [{"role": "user", "content": f"Say {number}."}], "temperature": 0.3, **settings}
    return Request(**fields)  # type: ignore[arg-type]


def ask(
    server: ChatServer, *requests: Request, policy: Policy = CALM, timeout: float = 20.0
) -> list[Completion | BaseException]:
    """What comes of these requests, sent together to a model behind the limits."""

    async def run() -> list[Completion | BaseException]:
        model = Limited(OpenAI("m", base_url=server.url, timeout=timeout), Limits(policy))
        try:
            return await asyncio.gather(*map(model.complete, requests), return_exceptions=True)
        finally:
            await model.close()

    return asyncio.run(run())


def completion(server: ChatServer, policy: Policy = CALM) -> Completion:
    (found,) = ask(server, request(), policy=policy)
    assert isinstance(found, Completion), found
    return found


def failure(server: ChatServer, policy: Policy = CALM, timeout: float = 20.0) -> BaseException:
    (found,) = ask(server, request(), policy=policy, timeout=timeout)
    assert isinstance(found, BaseException), found
    return found


@pytest.mark.parametrize("fault", ["429", "500", "drop", "malformed"])
def test_attempts_are_finite_and_counted(server: ChatServer, fault: str) -> None:
    server.plan = Plan(script=[fault, fault])
    assert completion(server).attempts == 3
    assert server.total == 3
    server.reset()
    server.plan = Plan(faults={fault: 1.0})
    error = failure(server)
    assert isinstance(error, ModelError)
    assert "(gave up after 3 attempts)" in str(error)
    assert server.total == 3


def test_the_sdk_does_not_try_again_by_itself(server: ChatServer) -> None:
    for fault in ("429", "500", "drop"):
        server.reset()
        server.plan = Plan(faults={fault: 1.0})
        failure(server, Policy(attempts=1))
        assert server.total == 1


def test_attempts_back_off_with_jitter(server: ChatServer) -> None:
    server.plan = Plan(faults={"500": 1.0})
    numbers = range(1, 7)
    ask(server, *map(request, numbers), policy=Policy(base_delay=0.1))
    contents = [body["messages"][0]["content"] for body in server.bodies]
    gaps = []
    for number in numbers:
        said = f"Say {number}."
        first, second, third = (at for at, content in zip(server.times, contents, strict=True) if content == said)
        assert second - first >= 0.05
        assert third - second >= 0.1
        gaps.append(second - first)
    assert max(gaps) - min(gaps) > 0.002


@pytest.mark.parametrize("headers", [{"Retry-After": "0.4"}, {"retry-after-ms": "400", "Retry-After": "60"}])
def test_a_pause_that_the_server_asks_for_holds_for_every_call(server: ChatServer, headers: dict[str, str]) -> None:
    server.plan = Plan(script=[(429, headers, "{}")], delay=0.1)
    found = ask(server, *map(request, range(12)), policy=Policy(concurrency=4))
    assert all(isinstance(each, Completion) for each in found), found
    assert server.total == 13
    start = server.times[0]
    after = [at - start for at in server.times[4:]]
    assert server.times[3] - start < 0.1
    assert 0.4 <= min(after) < 0.8
    # They do not all come back in the same instant either.
    assert after[2] - after[0] > 0.001


def test_a_pause_that_is_too_long_fails_at_once(server: ChatServer) -> None:
    server.plan = Plan(always=(429, {"Retry-After": "3600"}, "{}"))
    error = failure(server)
    assert "the server asks to wait 3600 s" in str(error)
    assert server.total == 1


def test_the_ways_to_ask_for_a_pause() -> None:
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert retry_after({"retry-after": later}) == pytest.approx(100, abs=2)
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"retry-after": "-3"}) == 0
    assert retry_after({"retry-after-ms": "soon", "retry-after": "2"}) == 2
    for nothing in ({}, {"retry-after": "soon"}, {"retry-after": ""}, {"retry-after": "nan"}, {"retry-after": "inf"}):
        assert retry_after(nothing) is None


def test_length_without_text_gets_one_larger_budget(server: ChatServer) -> None:
    server.plan = Plan(script=["length", "Done."])
    found = completion(server)
    assert (found.text, found.attempts, found.wasted) == ("Done.", 2, 20 + 2048)
    assert [body["max_completion_tokens"] for body in server.bodies] == [2048, 8192]


def test_length_without_text_twice_fails_by_name(server: ChatServer) -> None:
    server.plan = Plan(faults={"length": 1.0})
    error = failure(server)
    assert isinstance(error, ReplyError)
    assert str(error) == "openai:m spent 8192 completion tokens without writing any text"
    assert error.taken is not None
    assert error.taken.wasted == 20 + 2048 + 20 + 8192
    assert server.total == 2


def test_an_empty_reply_is_no_reply(server: ChatServer) -> None:
    server.plan = Plan(faults={"empty": 1.0})
    error = failure(server)
    assert isinstance(error, ReplyError)
    assert str(error) == "openai:m gave an empty reply 3 times (finish_reason stop)"


def test_a_slow_server_is_given_up(server: ChatServer) -> None:
    server.plan = Plan(faults={"silent": 1.0})
    started = time.monotonic()
    error = failure(server, Policy(attempts=2, base_delay=0.01), timeout=0.2)
    assert "did not answer within 0.2 s (gave up after 2 attempts)" in str(error)
    assert time.monotonic() - started < 5
    assert server.total == 2


def test_a_server_that_is_not_there_is_named(server: ChatServer) -> None:
    server.url = "http://127.0.0.1:1/v1"
    error = failure(server)
    assert "http://127.0.0.1:1/v1 could not be reached" in str(error)


def test_lone_surrogates_become_replacement_characters(server: ChatServer) -> None:
    server.plan = Plan(always=(200, {}, '{"choices": [{"message": {"content": "a\\ud83d b \\ude00\\ud83d\\ude00"}}]}'))
    assert completion(server).text == "a\ufffd b \ufffd\U0001f600"


@pytest.mark.parametrize("body", ["null", "[]", "{}", '{"choices": []}', '{"choices": [{}]}', "<html>", ""])
def test_what_is_no_completion_may_go_through_later(server: ChatServer, body: str) -> None:
    server.plan = Plan(script=[(200, {}, body)])
    assert completion(server).attempts == 2


def test_a_reply_that_cannot_be_unpacked_may_go_through_later(server: ChatServer) -> None:
    server.plan = Plan(script=[(200, {"Content-Encoding": "gzip"}, "{}")])
    assert completion(server).attempts == 2


HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\xff\x13 is no HTTP\r\n\r\n",
        b"HTTP/1.1 9999 OK\r\nContent-Length: 0\r\n\r\n",
        HTTP + b"Content-Length: -5\r\n\r\n",
        HTTP + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        HTTP + b'Transfer-Encoding: chunked\r\n\r\nZZ\r\n{"choices":',
        HTTP + b'Content-Length: 5000\r\n\r\n{"choices":',
    ],
)
def test_what_is_no_http_may_go_through_later(server: ChatServer, said: bytes) -> None:
    server.plan = Plan(script=[said])
    assert completion(server).attempts == 2
    server.plan = Plan(script=[said] * 3)
    error = failure(server)
    assert isinstance(error, ModelError)
    assert str(error).startswith(f"{server.url} ")
    assert "\n" not in str(error)
    assert len(str(error)) < 300


@pytest.mark.parametrize("count", ["1e20", "100000000000000000000", "-5", '"5"', "null", "0.5", "[1]"])
def test_a_count_of_tokens_that_is_none_counts_nothing_and_loses_no_reply(server: ChatServer, count: str) -> None:
    details = f'{{"reasoning_tokens": {count}}}'
    usage = f'{{"prompt_tokens": {count}, "completion_tokens": 3, "completion_tokens_details": {details}}}'
    body = f'{{"choices": [{{"message": {{"content": "Done."}}}}], "usage": {usage}}}'
    server.plan = Plan(script=[(200, {}, body)])
    found = completion(server)
    assert (found.text, found.attempts) == ("Done.", 1)
    assert (found.prompt_tokens, found.completion_tokens, found.reasoning_tokens) == (0, 3, 0)


def home(status: int) -> type[ProactError]:
    """Where a status belongs: later, never, or not for this request."""
    if status in (408, 409, 425, 429) or status >= 500:
        return TransientError
    return UsageError if status in (401, 402, 404) else ModelError


def test_every_status_has_a_home(server: ChatServer) -> None:
    known = {kind.__dict__.get("status_code") for kind in list(vars(openai).values()) if isinstance(kind, type)}
    named = {status for status in known if isinstance(status, int)}
    assert {400, 401, 403, 404, 409, 422, 429} <= named

    async def run() -> None:
        model = OpenAI("m", base_url=server.url)
        for status in sorted({*range(300, 304), *range(400, 432), *range(500, 512), 451, 520, 529, 599, *named}):
            server.plan = Plan(always=(status, {}, '{"error": {"message": "why"}}'))
            with pytest.raises(home(status)) as caught:
                await model.complete(request())
            assert type(caught.value) is home(status), status
            assert f"{server.url} answered {status} (why)" in str(caught.value)
        await model.close()

    asyncio.run(run())


def test_no_credit_ends_the_command(server: ChatServer) -> None:
    server.plan = Plan(always=(429, {}, '{"error": {"message": "quota", "code": "insufficient_quota"}}'))
    error = failure(server)
    assert isinstance(error, UsageError)
    assert "the account has no credit left" in str(error)
    assert server.total == 1
