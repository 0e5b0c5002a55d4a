"""The boundary to every language model: one request, one completion, one method."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import msgspec

from proact.errors import ReplyError
from proact.keys import digest64
from proact.parsing import mended, refuse
from proact.records import Message

if TYPE_CHECKING:
    from pydantic import BaseModel

    Reply = TypeVar("Reply", bound=BaseModel)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a model. `sample` tells apart requests that are otherwise equal and must differ."""

    messages: list[Message]
    temperature: float | None = None
    max_completion_tokens: int = 2048
    sample: int = 0
    seed: int = 0
    schema: dict[str, Any] | None = None

    @property
    def chance(self) -> int:
        """The 31-bit seed that is sent, so that two samples differ also where a server honours seeds."""
        return digest64(f"{self.seed}\0{self.sample}") >> 33


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How replies are drawn: the flags that every request of a role shares."""

    temperature: float | None = None
    max_completion_tokens: int = 2048

    def request(self, messages: list[Message], *, sample: int, seed: int) -> Request:
        return Request(
            messages=messages,
            temperature=self.temperature,
            max_completion_tokens=self.max_completion_tokens,
            sample=sample,
            seed=seed,
        )


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: the text, why it ended, and what it took. `wasted` counts tokens of attempts thrown away."""

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    attempts: int = 1
    wasted: int = 0
    cost: float | None = None


class ChatModel(Protocol):
    """Anything that completes a chat: a server, an embedded model, a stand-in, or a wrapper around one of them."""

    name: str
    """How the model is asked for on the command line, such as openai:gpt-4o-mini; stamped in every record."""
    endpoint: str
    """What limits and pauses are shared by: the server's URL, or a word for a model in this process."""

    async def complete(self, request: Request) -> Completion:
        """Raises TransientError when the request may go through later, another ModelError when it will not."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Computed(Protocol):
    """A model whose reply follows from the request at once and for nothing, so that no log needs to keep it."""

    computed: bool


@runtime_checkable
class Remembering(Protocol):
    """A model that keeps replies, and can be told that one is of no use."""

    def reject(self, request: Request, completion: Completion) -> None:
        """Forget a reply, so that the next run asks again."""
        ...


async def ask(
    model: ChatModel, request: Request, reply: type[Reply], check: Callable[[Reply], None] | None = None
) -> tuple[Reply, Completion]:
    """A reply in the shape of a pydantic model.

    A reply that does not fit is shown its own error once; `check` may refuse one by raising ValueError.
    Raises ReplyError, which keeps the raw text, when the second one does not fit either.
    """
    request = msgspec.structs.replace(request, schema=_schema(reply))
    completion = await model.complete(request)
    try:
        return _fitting(completion.text, reply, check), completion
    except ValueError as error:
        complaint = f"That reply cannot be used: {_short(error)}\nReply again, with the JSON object only."
    again = [
        *request.messages,
        {"role": "assistant", "content": completion.text},
        {"role": "user", "content": complaint},
    ]
    # What was cut off needs more room.
    room = request.max_completion_tokens * (2 if completion.finish_reason == "length" else 1)
    repair = msgspec.structs.replace(request, messages=again, max_completion_tokens=room)
    second = await model.complete(repair)
    try:
        return _fitting(second.text, reply, check), _sum(completion, second)
    except ValueError as error:
        if isinstance(model, Remembering):
            model.reject(request, completion)
            model.reject(repair, second)
        raise ReplyError(f"the reply cannot be used: {_short(error)}", raw=second.text) from None


@cache
def _schema(reply: type[BaseModel]) -> dict[str, Any]:
    return reply.model_json_schema()


def _fitting(text: str, reply: type[Reply], check: Callable[[Reply], None] | None) -> Reply:
    names = _schema(reply).get("properties", {}).keys()
    objects = json_objects(text, names)
    # What shares no field with the reply is an example or the like. Of what does, one may be the verdict and another a
    # quotation of what is judged, so all must fit and say the same: else the one that fits could be the quotation.
    meant = [value for value in objects if not names.isdisjoint(value)] or objects
    found = [_checked(reply.model_validate(value), check) for value in meant]
    if not found:
        raise ValueError("there is no JSON object in it")
    if any(other != found[0] for other in found):
        raise ValueError(f"it holds {len(found)} JSON objects, and they differ")
    return found[0]


def _checked(parsed: Reply, check: Callable[[Reply], None] | None) -> Reply:
    if check:
        check(parsed)
    return parsed


def json_objects(text: str, names: Iterable[str]) -> list[dict[str, Any]]:
    """The outermost JSON objects of a text, whatever prose stands around them.

    Raises ValueError for what begins like an object with one of these names and is malformed, or cut off.
    """
    begun = re.compile(rf'\{{\s*"(?:{"|".join(map(re.escape, names))})"\s*:')
    decoder = json.JSONDecoder(parse_constant=refuse)
    found: list[dict[str, Any]] = []
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError as error:
            if begun.match(text, at):
                raise ValueError(f"its JSON object is malformed: {error}") from None
            end = at + 1
        except RecursionError:
            # Nobody means anything by this, and every further brace would cost as much again.
            raise ValueError("it is nested too deeply") from None
        else:
            found.append(mended(value))
        at = text.find("{", end)
    return found


def _short(error: ValueError) -> str:
    details = getattr(error, "errors", None)
    if not details:
        return str(error)
    parts = ("{}: {}".format(".".join(map(str, item["loc"])) or "reply", item["msg"]) for item in details())
    return "; ".join(parts)


def _sum(first: Completion, second: Completion) -> Completion:
    return msgspec.structs.replace(
        second,
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
        reasoning_tokens=first.reasoning_tokens + second.reasoning_tokens,
    )
