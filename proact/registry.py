"""One registry per kind of thing that a user can add, and the loader of plugin files."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from hashlib import blake2b
from numbers import Real
from pathlib import Path
from typing import Any, Generic, TypeVar

from proact.errors import InputError, UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things of one kind; a name that nobody registered is an error that lists the choices."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator. Raises UsageError when the name is taken."""

        def add(item: T) -> T:
            if name in self._items:
                raise UsageError(f"{self.kind} {name!r} is registered twice")
            self._items[name] = item
            return item

        return add

    def __getitem__(self, name: str) -> T:
        if name not in self._items:
            raise UsageError(self.unknown(name))
        return self._items[name]

    def unknown(self, name: str) -> str:
        """What is wrong with a name that nobody registered."""
        return f"unknown {self.kind} {name!r}; there is: {', '.join(sorted(self._items)) or 'none'}"

    def __contains__(self, name: str) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)


_loaded: dict[Path, str] = {}


def load_plugin(path: Path) -> str:
    """Run a plugin file once, so that its decorators register what it adds, and return the hash of its source.

    Raises InputError when the file is missing; what the plugin itself raises passes through (see `plugin_frame`).
    """
    path = path.resolve()
    if path not in _loaded:
        if not path.is_file():
            raise InputError(path, "no such plugin file")
        fingerprint = blake2b(path.read_bytes(), digest_size=8).hexdigest()
        name = f"proact_plugin_{path.stem}_{fingerprint}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise InputError(path, "not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        _loaded[path] = fingerprint
        spec.loader.exec_module(module)
    return _loaded[path]


def finite(value: object) -> float | None:
    """What a plugin gave, which no type checker has seen, as a number; None for anything else, NaN and bool too."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    size: Any = abs(value)
    return float(value) if size <= sys.float_info.max else None


def plugin_frame(error: BaseException) -> tuple[Path, int] | None:
    """The file and line of a plugin in which an error arose, or None when no plugin took part."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) in _loaded:
        return Path(error.filename), error.lineno or 1
    place = None
    trace = error.__traceback__
    while trace:
        if (path := Path(trace.tb_frame.f_code.co_filename)) in _loaded:
            place = path, trace.tb_lineno
        trace = trace.tb_next
    return place
