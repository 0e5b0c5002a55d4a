"""A model that says what it was told to say, for tests; it runs out loudly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from proact import jsonl
from proact.errors import InputError, JobError, StopError
from proact.llm.base import Completion, Request


class Reply(msgspec.Struct, frozen=True):
    """One line of a script: the text to reply, and a text that the last message must hold for it to be used."""

    reply: str
    when: str = ""


class Scripted:
    """Each reply is used once, by the first request that it fits."""

    def __init__(self, replies: Iterable[Reply | str | JobError], name: str = "scripted:") -> None:
        self.name, self.endpoint = name, name
        self.requests: list[Request] = []
        self._left = [Reply(reply) if isinstance(reply, str) else reply for reply in replies]

    async def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        last = str(request.messages[-1]["content"])
        for index, reply in enumerate(self._left):
            if isinstance(reply, JobError):
                del self._left[index]
                raise reply
            if reply.when in last:
                del self._left[index]
                return Completion(text=reply.reply, prompt_tokens=len(last.split()), completion_tokens=1)
        raise StopError(f"{self.name} has no reply left for: {last[:80]!r}")

    async def close(self) -> None: ...


def from_file(path: Path) -> Scripted:
    """The script of a JSONL file. Raises InputError for a line that is no reply."""
    replies = []
    for line in jsonl.lines(path):
        fields = jsonl.decode_object(line, path)
        try:
            replies.append(msgspec.convert(fields, Reply))
        except msgspec.ValidationError as error:
            raise InputError(path, str(error), line=line.number) from None
    return Scripted(replies, f"scripted:{path}")
