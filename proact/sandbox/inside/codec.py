"""Values as tagged JSON: what crosses between a judge and a candidate is data, never code.

Exact built-in types and some of the standard library keep their type. A subclass is reduced to the value of its
built-in base, so that its `__eq__` stays behind. Everything else crosses as a handle.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import itertools
import sys
from collections.abc import Callable, Iterable
from typing import Any

MAX_DEPTH = 150
SMALL_INT = 1 << 53
MAX_EQUAL_HASHES = 64
PLAIN = frozenset((int, float, str, bool, type(None)))

Json = Any
Opaque = Callable[[object], Json]


class Undecodable(Exception):
    """The data is not what an honest encoder writes."""


class Encoder:
    """Values to JSON; `opaque` is asked for everything that is not data, `deep` for what is nested too deeply."""

    def __init__(self, opaque: Opaque, deep: Opaque | None = None) -> None:
        self._opaque, self._deep = opaque, deep or opaque

    def encode(self, value: Any, depth: int = 0) -> Json:
        """One value; a subclass is reduced to its base by the base's own methods."""
        kind = type(value)
        writer = _WRITERS.get(kind)
        if depth > MAX_DEPTH:
            return self._deep(value)
        if writer is not None:
            return writer(self, value, depth)
        for base in _BASES:
            if issubclass(kind, base):
                return self._reduced(base, value, depth)
        if kind.__module__ == "numpy":
            return self._numpy(value, depth)
        return self._opaque(value)

    def items(self, values: Iterable[Any], depth: int) -> list[Json]:
        """The elements of a container, in one step when all of them are plain."""
        values = list(values)
        if PLAIN.issuperset(map(type, values)) and not any(
            type(x) is int and not -SMALL_INT < x < SMALL_INT for x in values
        ):
            return values
        return [self.encode(value, depth + 1) for value in values]

    def _reduced(self, base: type, value: Any, depth: int) -> Json:
        fields = getattr(type(value), "_fields", None)
        if base is tuple and isinstance(fields, tuple) and all(type(name) is str for name in fields):
            return {"n": [type(value).__name__, list(fields), self.items(tuple.__iter__(value), depth)]}
        return _WRITERS[base](self, _PLAINLY[base](value), depth)

    def _numpy(self, value: Any, depth: int) -> Json:
        numpy = sys.modules["numpy"]
        if isinstance(value, numpy.generic):
            return self.encode(value.item(), depth + 1)
        if type(value) is numpy.ndarray and value.dtype.kind in "biufcU":
            return {"a": [value.dtype.str, self.encode(value.tolist(), depth + 1)]}
        return self._opaque(value)


def _int(_: Encoder, value: int, depth: int) -> Json:
    return value if -SMALL_INT < value < SMALL_INT else {"i": hex(value)}


def _same(_: Encoder, value: Any, depth: int) -> Json:
    return value


def _pairs(encoder: Encoder, value: dict[Any, Any], depth: int) -> list[Json]:
    return [encoder.items(dict.keys(value), depth), encoder.items(dict.values(value), depth)]


def _tagged(tag: str) -> Callable[[Encoder, Any, int], Json]:
    return lambda encoder, value, depth: {tag: encoder.items(value, depth)}


def _text(tag: str, text: Callable[[Any], Json]) -> Callable[[Encoder, Any, int], Json]:
    return lambda encoder, value, depth: {tag: text(value)}


_WRITERS: dict[type, Callable[[Encoder, Any, int], Json]] = {
    type(None): _same,
    bool: _same,
    int: _int,
    float: _same,
    str: _same,
    list: lambda encoder, value, depth: encoder.items(value, depth),
    tuple: _tagged("t"),
    set: _tagged("s"),
    frozenset: _tagged("f"),
    collections.deque: _tagged("q"),
    dict: lambda encoder, value, depth: {"d": _pairs(encoder, value, depth)},
    collections.Counter: lambda encoder, value, depth: {"dc": _pairs(encoder, value, depth)},
    collections.OrderedDict: lambda encoder, value, depth: {"do": _pairs(encoder, value, depth)},
    collections.defaultdict: lambda encoder, value, depth: {"dd": _pairs(encoder, value, depth)},
    bytes: _text("b", bytes.hex),
    bytearray: _text("ba", bytearray.hex),
    complex: _text("c", lambda value: [value.real, value.imag]),
    range: _text("r", lambda value: [hex(value.start), hex(value.stop), hex(value.step)]),
    decimal.Decimal: _text("D", str),
    fractions.Fraction: _text("F", lambda value: [hex(value.numerator), hex(value.denominator)]),
    datetime.date: _text("date", lambda value: value.isoformat()),
    datetime.datetime: _text("datetime", lambda value: value.isoformat()),
    datetime.timedelta: _text("delta", lambda value: [value.days, value.seconds, value.microseconds]),
}
_PLAINLY: dict[type, Callable[[Any], Any]] = {
    int: lambda value: int.__add__(value, 0),
    float: float.__pos__,
    str: str.__str__,
    list: lambda value: list(list.__iter__(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    dict: lambda value: dict(zip(dict.keys(value), dict.values(value), strict=True)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    bytes: lambda value: bytes.__add__(value, b""),
}
_BASES = tuple(_PLAINLY)


class Decoder:
    """JSON to values; `handles` builds what `opaque` wrote on the other side."""

    def __init__(self, handles: dict[str, Callable[[Json], Any]]) -> None:
        self._handles = handles

    def decode(self, data: Json) -> Any:
        """One value; raises Undecodable for anything that an encoder does not write."""
        if type(data) is list:
            return data[:] if PLAIN.issuperset(map(type, data)) else [self.decode(item) for item in data]
        if type(data) is not dict:
            return data
        if len(data) != 1:
            raise Undecodable
        ((tag, body),) = data.items()
        try:
            if tag in self._handles:
                return self._handles[tag](body)
            return _READERS[tag](self, body)
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
            raise Undecodable from error

    def hashed(self, body: Json) -> list[Any]:
        """Elements for a hashed container, refused when so many hashes are equal that it would take minutes."""
        values: list[Any] = self.decode(body) if type(body) is list else []
        if len(values) > MAX_EQUAL_HASHES:
            runs = itertools.groupby(sorted(map(hash, values)))
            if max(sum(1 for _ in run) for _, run in runs) > MAX_EQUAL_HASHES:
                raise Undecodable
        return values

    def pairs(self, body: Json) -> dict[Any, Any]:
        """A dict from its keys and values."""
        keys, values = body
        return dict(zip(self.hashed(keys), self.decode(values), strict=True))

    def default_dict(self, body: Json) -> Any:
        """A defaultdict without its factory, which is code."""
        return collections.defaultdict(None, self.pairs(body))

    def named(self, body: Json) -> Any:
        """A namedtuple of the same name and fields."""
        name, fields, values = body
        if len(fields) > MAX_EQUAL_HASHES:
            raise Undecodable
        return collections.namedtuple(name, fields)(*self.decode(values))

    def array(self, body: Json) -> Any:
        """A numpy array of numbers or text."""
        import numpy

        dtype = numpy.dtype(body[0])
        if dtype.kind not in "biufcU" or dtype.itemsize > 4096:
            raise Undecodable
        return numpy.array(self.decode(body[1]), dtype=dtype)


_READERS: dict[str, Callable[[Decoder, Json], Any]] = {
    "i": lambda decoder, body: int(body, 16),
    "t": lambda decoder, body: tuple(decoder.decode(body)),
    "s": lambda decoder, body: set(decoder.hashed(body)),
    "f": lambda decoder, body: frozenset(decoder.hashed(body)),
    "q": lambda decoder, body: collections.deque(decoder.decode(body)),
    "d": Decoder.pairs,
    "dc": lambda decoder, body: collections.Counter(decoder.pairs(body)),
    "do": lambda decoder, body: collections.OrderedDict(decoder.pairs(body)),
    "dd": Decoder.default_dict,
    "b": lambda decoder, body: bytes.fromhex(body),
    "ba": lambda decoder, body: bytearray.fromhex(body),
    "c": lambda decoder, body: complex(*body),
    "r": lambda decoder, body: range(*(int(part, 16) for part in body)),
    "D": lambda decoder, body: decimal.Decimal(body),
    "F": lambda decoder, body: fractions.Fraction(int(body[0], 16), int(body[1], 16)),
    "date": lambda decoder, body: datetime.date.fromisoformat(body),
    "datetime": lambda decoder, body: datetime.datetime.fromisoformat(body),
    "delta": lambda decoder, body: datetime.timedelta(*body),
    "n": Decoder.named,
    "a": Decoder.array,
}
