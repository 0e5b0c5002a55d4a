"""From a decoded line to a record: other spellings are understood, and unknown fields survive in `metadata`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Required, TypedDict, TypeVar, get_args

import msgspec
from msgspec import Meta

from proact.errors import InputError
from proact.records import Conversation, Message, PreferencePair, Record, Role, State, Trajectory

R = TypeVar("R", bound=Record)
ROLES = frozenset(get_args(Role))
DEEPEST = 200
"""Levels of nesting: what is written again, orjson among the writers, takes no more than 254."""

ALIASES: dict[type[Record], dict[str, str]] = {
    State: {"mbpp_tests": "tests"},
    Conversation: {"turns": "messages"},
}


class _Said(TypedDict, total=False):
    role: Required[Role]
    content: str | list[Any] | None


class _Answer(TypedDict):
    role: Role
    content: str


class _Decision(msgspec.Struct):
    """What is inside the fields of a pair that are kept as they stand."""

    state: State
    prompt: Annotated[list[_Said], Meta(min_length=1)]
    chosen: Annotated[list[_Answer], Meta(min_length=1)]
    rejected: Annotated[list[_Answer], Meta(min_length=1)]


def parse(fields: dict[str, Any], kind: type[R]) -> R:
    """Make a record of a decoded line. Raises msgspec.ValidationError, which names the field and what was expected."""
    return msgspec.convert(known(fields, kind), kind)


def known(fields: dict[str, Any], kind: type[Record]) -> dict[str, Any]:
    """The fields of a line under their own names, the unknown ones in `metadata`, where they replace others."""
    names = kind.__struct_fields__
    aliases = ALIASES.get(kind, {})
    result: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in fields.items():
        target = aliases.get(name, name)
        if target in names and target not in result:
            result[target] = value
        else:
            extra[name] = value
    if extra and "metadata" in names:
        metadata = result.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise msgspec.ValidationError("Expected `object` - at `$.metadata`")
        # What is unknown comes first and wins; hashes of a record depend on the order.
        result["metadata"] = extra | metadata | extra
    if kind is State and isinstance(result.get("prev_reject"), bool):
        result["prev_reject"] = int(result["prev_reject"])
    if kind is Trajectory:
        _nested(result)
    if kind is PreferencePair:
        _paired(result)
    return result


def _nested(fields: dict[str, Any]) -> None:
    # Lines that hold only the documents' fields have a state without id and domain, a persona that
    # may be just a name, and flags that may be booleans.
    if isinstance(state := fields.get("state"), dict):
        fields["state"] = {"id": "", "domain": "", **known(state, State)}
    if isinstance(persona := fields.get("persona"), str):
        fields["persona"] = {"name": persona}
    reaction = fields.get("user_reaction")
    if isinstance(reaction, dict) and isinstance(meta := reaction.get("meta"), dict):
        flags = {name: int(value) if isinstance(value, bool) else value for name, value in meta.items()}
        fields["user_reaction"] = {**reaction, "meta": flags}


def _paired(fields: dict[str, Any]) -> None:
    if isinstance(state := fields.get("state"), dict):
        fields["state"] = known(state, State)
    # Messages are checked and not converted: a chat template may read more of them than is known here.
    fields["state"] = msgspec.convert(fields, _Decision).state.visible()


def checked(messages: list[Message], path: Path, number: int) -> None:
    """Raises InputError for a message that is none of an OpenAI dialogue."""
    for index, message in enumerate(messages):
        role, place = message.get("role"), f"messages[{index}]"
        if not isinstance(role, str) or role not in ROLES:
            choices = ", ".join(sorted(ROLES))
            raise InputError(path, f"expected one of {choices}", line=number, field=f"{place}.role")
        if not isinstance(message.get("content", ""), str | list | None):
            raise InputError(path, "expected a text", line=number, field=f"{place}.content")
        if not isinstance(message.get("tool_calls"), list | None):
            raise InputError(path, "expected a list", line=number, field=f"{place}.tool_calls")


def deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects of a JSON value lie in each other more than so many times."""
    if not isinstance(value, dict | list):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(deeper(item, levels - 1) for item in inside)


def repaired(raw: bytes) -> Any:
    """Decode JSON that holds lone surrogates, each of which becomes U+FFFD; None when it is not JSON at all, or holds a
    number that is too large to be one."""
    try:
        text = raw.decode("utf-8", "surrogatepass")
        return mended(json.loads(text, parse_constant=refuse, parse_float=_finite, parse_int=_whole))
    except (ValueError, RecursionError):
        return None


def refuse(constant: str) -> None:
    """For `parse_constant`: NaN and Infinity are Python's, not JSON's."""
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    if math.isinf(value := float(number)):
        raise ValueError(f"{number} is too large")
    return value


def _whole(number: str) -> int:
    _finite(number)
    return int(number)


def mended(value: Any) -> Any:
    """The same JSON value with every lone surrogate replaced by U+FFFD, so that it can be written again."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [mended(item) for item in value]
    if isinstance(value, dict):
        return {mended(name): mended(item) for name, item in value.items()}
    return value
