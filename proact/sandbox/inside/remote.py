"""The judge's stand-ins for a candidate's functions and objects: used like the real ones, but only data comes back.

What a test compares with, and every operand that is not the candidate's own, stays in the judge.
"""

from __future__ import annotations

import builtins
import collections
import itertools
import json
import marshal
import secrets
import select
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .codec import Decoder, Encoder, Json, Undecodable
from .frames import Closed, Frames, TooLong

MAX_SENT = 1_000_000
Kind = TypeVar("Kind")
ITERATORS: tuple[type, ...] = (
    types.GeneratorType,
    map,
    filter,
    zip,
    enumerate,
    reversed,
    type(iter([])),
    type(iter(())),
    type(iter({})),
)


class Ended(BaseException):
    """The program can give no more answers; no test may catch this, and it stays raised."""


class Unsendable(BaseException):
    """A test passes something that is not data: its task belongs in-process."""


class Line:
    """The judge's end of one child's socket."""

    def __init__(self, fd: int, *, reply_bytes: int, patience: float, on_idle: Callable[[], None]) -> None:
        self._frames = Frames(fd, limit=reply_bytes)
        self._patience, self._on_idle = patience * 1000, on_idle
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self.handles: dict[int, Remote] = {}
        self.ended, self.tampered, self.out_of_memory = False, "", False
        self.track = False
        self.encoder = Encoder(_opaque, _deep)
        self.decoder = Decoder({"h": self._handle})

    def request(self, **fields: Json) -> dict[str, Json]:
        """One request and its reply. Anything but exactly that reply ends the program."""
        if self.ended:
            raise Ended
        identity = secrets.token_hex(8)
        try:
            self._frames.write(marshal.dumps({**fields, "id": identity}))
            while (payload := self._frames.complete()) is None:
                while not self._poll.poll(self._patience):
                    self._on_idle()
                self._frames.fill()
            reply = json.loads(payload)
            honest = type(reply) is dict and reply.get("id") == identity and not self._frames.buffered
        except Closed:
            self.ended = True
            raise Ended from None
        except (ValueError, RecursionError, MemoryError, TooLong):
            honest = False
        if not honest:
            raise self.refuse("a reply that was not asked for, or cannot be read")
        assert isinstance(reply, dict)
        return reply

    def ask(self, op: str, on: Json, arguments: list[Any], keywords: dict[str, Any] | None = None) -> Any:
        """One operation on something of the candidate's; raises what it raised."""
        fields = {"args": self.encoder.items(arguments, 0), "kwargs": self.encoder.encode(keywords or {})}
        track = self.track and op == "call"
        reply = self.request(op=op, on=on, track=track, **fields)
        if "x" in reply:
            raise self.raised(reply["x"])
        try:
            if track and "m" in reply:
                for ours, theirs in zip(arguments, self.decoder.decode(reply["m"]), strict=True):
                    _change(ours, theirs)
            return self.decoder.decode(reply["v"])
        except (Undecodable, RecursionError, KeyError, ValueError, TypeError):
            raise self.refuse("a reply that is no data") from None

    def raised(self, described: Json) -> BaseException:
        """The candidate's exception as the nearest built-in one."""
        match described:
            case [[str(own), *_] as names, str(text)] if {*map(type, names)} == {str}:
                kind = next(filter(None, map(_exception, names)), None)
            case _:
                kind = None
        if kind is None:
            return self.refuse("an exception that is none")
        self.out_of_memory |= issubclass(kind, MemoryError)
        try:
            error: BaseException = kind(text)
        except TypeError:
            error = ValueError(text)
        error.add_note(f"raised by the candidate as {own}")
        return error

    @property
    def silent(self) -> bool:
        """Whether the program hung up before it was done."""
        return self.ended and not self.tampered

    def refuse(self, why: str) -> Ended:
        """No reply of this program is taken from now on."""
        self.ended, self.tampered = True, self.tampered or why
        return Ended()

    def _handle(self, number: Json) -> Remote:
        if type(number) is not int:
            raise Undecodable
        return self.handles.setdefault(number, Remote(self, {"h": number}))


def _exception(name: str) -> type[BaseException] | None:
    kind = getattr(builtins, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, BaseException) else None


def _change(ours: Any, theirs: Any) -> None:
    """Bring an argument that the candidate changed in place up to date."""
    if type(ours) is not type(theirs):
        return
    if isinstance(ours, list | bytearray):
        ours[:] = theirs
    elif isinstance(ours, dict | set):
        ours.clear()
        ours.update(theirs)
    elif isinstance(ours, collections.deque):
        ours.clear()
        ours.extend(theirs)


def _opaque(value: object) -> Json:
    """What a test may pass beside data: the candidate's own things, library functions and types, iterators."""
    if type(value) is Remote:
        return value._ref
    if isinstance(value, Iterator) and isinstance(value, ITERATORS):
        items = list(itertools.islice(value, MAX_SENT + 1))
        if len(items) <= MAX_SENT:
            return {"it": Encoder(_opaque, _deep).items(items, 0)}
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if module in sys.stdlib_module_names and getattr(sys.modules.get(module), name, None) is value:
        return {"g": [module, name]}
    raise Unsendable(type(value).__name__)


def _deep(_: object) -> Json:
    """So deep a value comes from a candidate, which must not choose the tier of its task: the test fails."""
    raise ValueError("nested too deeply to be sent")


def _both_remote(name: str) -> Callable[[Remote, object], Any]:
    """An operator between two of the candidate's objects; with anything of the test's it does not apply."""

    def apply(self: Remote, other: object) -> Any:
        return self._line.ask(name, self._ref, [other]) if type(other) is Remote else NotImplemented

    return apply


class Remote:
    """A function, class or object of the candidate's."""

    __slots__ = ("_line", "_ref")
    _line: Line
    _ref: Json

    def __init__(self, line: Line, ref: Json) -> None:
        object.__setattr__(self, "_line", line)
        object.__setattr__(self, "_ref", ref)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._line.ask("call", self._ref, list(arguments), keywords)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._line.ask("getattr", self._ref, [name])

    def __setattr__(self, name: str, value: Any) -> None:
        self._line.ask("setattr", self._ref, [name, value])

    def __getitem__(self, key: Any) -> Any:
        return self._line.ask("getitem", self._ref, [key])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._line.ask("setitem", self._ref, [key, value])

    def __delitem__(self, key: Any) -> None:
        self._line.ask("delitem", self._ref, [key])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._line.ask("iter", self._ref, []))

    def __next__(self) -> Any:
        return self._line.ask("next", self._ref, [])

    def __len__(self) -> int:
        return self._exactly("len", int)

    def __bool__(self) -> bool:
        return self._exactly("bool", bool)

    def __str__(self) -> str:
        return self._exactly("str", str)

    def __repr__(self) -> str:
        return self._exactly("repr", str)

    def __hash__(self) -> int:
        return hash(json.dumps(self._ref))

    def __eq__(self, other: object) -> bool:
        return type(other) is Remote and (self._ref == other._ref or bool(self._line.ask("eq", self._ref, [other])))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def _exactly(self, op: str, kind: type[Kind]) -> Kind:
        value = self._line.ask(op, self._ref, [])
        if type(value) is not kind:
            raise TypeError(f"{op} gave {type(value).__name__}")
        return value

    __lt__, __le__, __gt__, __ge__ = map(_both_remote, ("lt", "le", "gt", "ge"))
    __add__, __sub__, __mul__, __truediv__ = map(_both_remote, ("add", "sub", "mul", "truediv"))
    __floordiv__, __mod__, __pow__ = map(_both_remote, ("floordiv", "mod", "pow"))
    __and__, __or__, __xor__ = map(_both_remote, ("and_", "or_", "xor"))
