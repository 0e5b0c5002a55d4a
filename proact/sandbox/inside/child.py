"""The candidate's side: loads a program and does what the judge asks of it, one request at a time.

Everything here shares its memory with hostile code. It therefore knows nothing that is worth stealing, and nothing
that it says is believed: the judge only takes data from it, one reply per request.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import json
import marshal
import operator
import os
import sys
import types
from collections.abc import Callable
from typing import Any

from . import batch, inprocess, screen
from .codec import Decoder, Encoder, Json
from .frames import Closed, Frames

MAX_ITERATED = 1_000_000
MODULE_NAMES = ("candidate", "solution", "__main__")


class Candidate:
    """One loaded program: its names, and the objects that the judge holds by number."""

    def __init__(self) -> None:
        self.module = types.ModuleType("candidate")
        self.namespace = self.module.__dict__
        self._objects: list[object] = []
        self._numbers: dict[int, int] = {}
        self._tree: ast.Module | None = None
        self._before = inprocess.Snapshot(())
        self.used = False
        self.encoder = Encoder(self._number)
        self.decoder = Decoder(
            {"h": self._objects.__getitem__, "r": self._named, "g": _global, "it": lambda body: iter(self._list(body))}
        )
        for name in MODULE_NAMES:
            sys.modules[name] = self.module

    def answer(self, request: dict[str, Json]) -> dict[str, Json]:
        """The reply to one request; raises what the candidate raises."""
        what = request["op"]
        if what == "load":
            return self._load(request)
        if what == "screen":
            self._tree = ast.parse(request["code"])
            return {"v": screen.suspicions(self._tree)}
        if what == "tests":
            return {"v": inprocess.run(self.namespace, request["plan"], self._before)}
        return self._operate(what, request)

    def _load(self, request: dict[str, Json]) -> dict[str, Json]:
        self.used = True
        source: Any = request["code"]
        if request["batch"]:
            source = ast.parse(source)
            if unfit := batch.unfit(source):
                return {"odd": unfit}
        code = compile(self._tree or source, "<candidate>", "exec", dont_inherit=True)
        if self._tree is not None:
            self._before = inprocess.Snapshot.now()
        exec(code, self.namespace)
        if request["setup"]:
            exec(compile(request["setup"], "<setup>", "exec", dont_inherit=True), self.namespace)
        return {"v": None}

    def _operate(self, what: str, request: dict[str, Json]) -> dict[str, Json]:
        subject = self.decoder.decode(request["on"])
        arguments = self.decoder.decode(request["args"])
        if what == "call":
            value = subject(*arguments, **self.decoder.decode(request["kwargs"]))
        else:
            value = _OPERATIONS[what](subject, *arguments)
        if what == "iter":
            return {"v": {"t": self.encoder.items(value, 0)}}
        reply = {"v": self.encoder.encode(value)}
        if request.get("track") and (after := self.encoder.items(arguments, 0)) != request["args"]:
            reply["m"] = after
        return reply

    def _list(self, body: Json) -> list[Any]:
        return [self.decoder.decode(item) for item in body]

    def _named(self, name: str) -> object:
        if name in self.namespace:
            return self.namespace[name]
        raise NameError(f"name {name!r} is not defined")

    def _number(self, value: object) -> Json:
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        return {"h": self._numbers[id(value)]}


def serve(fd: int, candidate: Candidate, max_reply: int) -> None:
    """Answer the judge until it hangs up; never returns to the zygote's code. `candidate` is an unused one."""
    frames = Frames(fd)
    while True:
        try:
            request = marshal.loads(frames.read())
            if request["op"] == "load" and candidate.used:
                candidate = Candidate()
        except Closed:
            os._exit(0)
        try:
            reply = candidate.answer(request)
        except BaseException as error:  # noqa: BLE001  whatever the candidate raises is reported to the judge
            reply = {"x": described(error)}
        reply["id"] = request["id"]
        try:
            payload = json.dumps(reply).encode()
            if len(payload) > max_reply:
                raise ValueError("the value is longer than the limit for output")
        except (MemoryError, ValueError, RecursionError) as error:
            payload = json.dumps({"id": request["id"], "x": described(error)}).encode()
        frames.write(payload)


def described(error: BaseException) -> list[Json]:
    """An exception as data: the names of its classes, nearest first, and its text."""
    try:
        text = str(error)[:500]
    except BaseException:  # noqa: BLE001  a candidate's __str__ may raise anything
        text = ""
    return [[str(base.__name__) for base in type(error).__mro__], text]


def _global(body: Json) -> object:
    module, name = body
    return getattr(importlib.import_module(module), name)


def _listed(subject: Any) -> list[Any]:
    values = list(itertools.islice(subject, MAX_ITERATED + 1))
    if len(values) > MAX_ITERATED:
        raise ValueError("too many elements")
    return values


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "get": lambda subject: subject,
    "getattr": getattr,
    "setattr": setattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "len": len,
    "bool": bool,
    "str": str,
    "repr": repr,
    "next": next,
    "iter": _listed,
    **{name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "abs", "add", "sub")},
    **{name: getattr(operator, name) for name in ("mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor")},
}
