"""OpenAI and every server that speaks its chat completions: the only home of the openai package."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from proact.errors import ModelError, TransientError, UsageError
from proact.llm.base import Completion, Request
from proact.llm.endpoint import checked, key, read_dotenv, retry_after
from proact.llm.refusal import Refusal
from proact.parsing import mended, repaired

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

REASONING = ("gpt-5", "o1", "o3", "o4")
FORMATS = ("json_schema", "json_object", "text")
TRANSIENT = {408, 409, 425, 429}
NO_CREDIT = "the account has no credit left"
LONGEST_MESSAGE = 200
MOST_TOKENS = 10**9
HOPELESS = {401: "the key was refused", 402: NO_CREDIT, 404: "no such model or URL"}


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    reasoning_tokens: Any = None


class _Usage(msgspec.Struct):
    prompt_tokens: Any = None
    completion_tokens: Any = None
    completion_tokens_details: _Details | None = None


class _Reply(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class OpenAI:
    """One model on one server. What the server does not take is found out once and remembered."""

    def __init__(
        self, model: str, *, base_url: str | None = None, timeout: float = 60.0, api_key: str | None = None
    ) -> None:
        self.name = f"openai:{model}"
        self._model, self._timeout = model, timeout
        read_dotenv(Path(".env"))
        self._base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        self._key = api_key or key()
        if not self._base_url and not self._key:
            raise UsageError(
                f"{self.name} needs a key: set OPENAI_API_KEY (in the environment or in .env), "
                "or name another server with --base-url"
            )
        self.endpoint = checked(self._base_url or "https://api.openai.com/v1")
        self._client: AsyncOpenAI | None = None
        self._http: httpx2.AsyncClient | None = None
        self._unsupported: set[str] = {"temperature"} if model.startswith(REASONING) else set()
        self._format = FORMATS[0]
        self._decoder = msgspec.json.Decoder(_Reply)

    def _open(self) -> httpx2.AsyncClient:
        import openai
        from openai import AsyncOpenAI, DefaultAioHttpClient

        self._http = DefaultAioHttpClient(timeout=self._timeout)
        self._client = AsyncOpenAI(
            api_key=self._key or "none", base_url=self._base_url, http_client=self._http, max_retries=0
        )
        self._url = str(self._client.base_url).rstrip("/") + "/chat/completions"
        headers = {**self._client.default_headers, **self._client.auth_headers}
        self._headers = {name: value for name, value in headers.items() if not isinstance(value, openai.Omit)}
        return self._http

    async def complete(self, request: Request) -> Completion:
        """Post the request. The SDK's typed `create` takes most of a call's time, so only its client is used."""
        http = self._http or self._open()
        while True:
            known = self._known()
            sent = self._body(request)
            status, headers, body = await self._post(http, orjson.dumps(sent))
            if status == 200:
                return self._completion(body)
            # Another call may have learned it meanwhile; either way the request is worth sending in its new form.
            if status in (400, 422) and (self._adapt(sent, body) or known != self._known()):
                continue
            raise self._error(status, headers, body)

    async def _post(self, http: httpx2.AsyncClient, content: bytes) -> tuple[int, Any, bytes]:
        import aiohttp
        import httpx2

        try:
            async with asyncio.timeout(self._timeout):
                response = await http.post(self._url, content=content, headers=self._headers)
        except httpx2.ConnectTimeout as error:
            # On aiohttp a refused connection is one of these too.
            raise TransientError(f"{self.endpoint} could not be reached: {error}") from None
        except (httpx2.TimeoutException, TimeoutError):
            raise TransientError(f"{self.endpoint} did not answer within {self._timeout:g} s") from None
        except httpx2.HTTPError as error:
            reason = self._shown(str(error)) or type(error).__name__
            raise TransientError(f"{self.endpoint} broke off: {reason}") from None
        except aiohttp.ClientError as error:
            # What the transport does not translate: a reply that is no HTTP.
            said = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
            reason = self._shown(said) or type(error).__name__
            raise TransientError(f"{self.endpoint} sent a malformed reply: {reason}") from None
        return response.status_code, response.headers, response.content

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self._model, "messages": request.messages}
        optional = {
            "temperature": request.temperature,
            "seed": request.chance,
            "max_completion_tokens": request.max_completion_tokens,
        }
        body.update({k: v for k, v in optional.items() if v is not None and k not in self._unsupported})
        if "max_completion_tokens" in self._unsupported:
            body["max_tokens"] = request.max_completion_tokens
        if request.schema is not None:
            self._ask_for_json(body, request.schema)
        return body

    def _ask_for_json(self, body: dict[str, Any], schema: dict[str, Any]) -> None:
        if self._format == "json_schema":
            named = {"name": "reply", "schema": schema, "strict": _is_strict(schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
            return
        if self._format == "json_object":
            body["response_format"] = {"type": "json_object"}
        *earlier, last = body["messages"]
        rule = f"Reply with one JSON object that fits this JSON schema: {orjson.dumps(schema).decode()}"
        body["messages"] = [*earlier, {**last, "content": f"{last['content']}\n\n{rule}"}]

    def _known(self) -> tuple[frozenset[str], str]:
        return frozenset(self._unsupported), self._format

    def _adapt(self, sent: dict[str, Any], body: bytes) -> bool:
        """Learn from a refusal which parameter this server does not take; False when it names none."""
        refusal = Refusal(body)
        form = sent.get("response_format", {}).get("type")
        # Of several calls in flight, the first one has learned it for all.
        if form == self._format and refusal.names("response_format", "json_schema", "json_object"):
            self._format = FORMATS[FORMATS.index(form) + 1]
            return True
        for name in ("max_completion_tokens", "temperature", "seed"):
            if name in sent and name not in self._unsupported and refusal.refuses(name):
                self._unsupported.add(name)
                return True
        return False

    def _completion(self, body: bytes) -> Completion:
        try:
            reply = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            try:
                reply = msgspec.convert(repaired(body), _Reply)
            except msgspec.ValidationError:
                raise TransientError(f"{self.endpoint} answered with something else than a chat completion") from None
        if not reply.choices:
            raise TransientError(f"{self.endpoint} answered without a choice")
        choice, usage = reply.choices[0], reply.usage or _Usage()
        details = usage.completion_tokens_details or _Details()
        return Completion(
            text=mended(choice.message.content or choice.message.refusal or ""),
            finish_reason=choice.finish_reason or "stop",
            prompt_tokens=_count(usage.prompt_tokens),
            completion_tokens=_count(usage.completion_tokens),
            reasoning_tokens=_count(details.reasoning_tokens),
        )

    def _error(self, status: int, headers: Any, body: bytes) -> Exception:
        said = self._shown(Refusal(body).message)
        reason = f"{self.endpoint} answered {status}{f' ({said})' if said else ''}"
        if status == 429 and b"insufficient_quota" in body:
            return UsageError(f"{reason}: {NO_CREDIT}")
        if status in TRANSIENT or status >= 500:
            return TransientError(reason, retry_after(headers))
        if status in HOPELESS:
            return UsageError(f"{reason}: {HOPELESS[status]}")
        return ModelError(reason)

    def _shown(self, said: str) -> str:
        """The beginning of what a server says, in one line."""
        # Some servers repeat the key that they refuse; half of it, after a cut, would not be recognised.
        whole = said.replace(self._key, "***") if self._key else said
        return " ".join(whole.split())[:LONGEST_MESSAGE]

    async def close(self) -> None:
        if self._client:
            await self._client.close()


def _count(tokens: Any) -> int:
    # A count that nobody can have used is as good as none: the reply is paid for, and asking again would cost as much.
    return int(tokens) if isinstance(tokens, int | float) and 0 <= tokens <= MOST_TOKENS else 0


def _is_strict(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(schema.get("properties", ())):
            return False
    return all(map(_is_strict, schema.values()))
