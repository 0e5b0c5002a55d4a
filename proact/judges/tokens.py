"""Counts tokens where a tokenizer is at hand; nothing is downloaded and nothing guessed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from proact.errors import InputError, UsageError
from proact.keys import digest


class _File(msgspec.Struct):
    """What is in every tokenizer.json."""

    model: dict[str, Any]


@cache
def counter(file: str | None) -> Callable[[str], int] | None:
    """How many tokens a text has, by a Hugging Face tokenizer.json; None without one.

    Raises UsageError without the `tokenizers` package, InputError for a file that is none.
    """
    if file is None:
        return None
    content = _content(file)
    try:
        msgspec.json.decode(content, type=_File)
    except msgspec.DecodeError as error:
        raise InputError(file, f"is no tokenizer.json: {error}") from None
    if not importlib.util.find_spec("tokenizers"):
        raise UsageError("--tokenizer needs the package tokenizers: pip install tokenizers")
    kind: Any = importlib.import_module("tokenizers").Tokenizer
    try:
        # Unlike from_file, which raises a bare Exception, this one raises ValueError for what is no tokenizer.
        tokenizer = kind.from_buffer(content)
    except ValueError as error:
        raise InputError(file, f"is no tokenizer.json: {error}") from None
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def known_by(file: str | None) -> str | None:
    """What counts depend on: the content of the file, whatever it is called."""
    return None if file is None else digest(_content(file).hex())


def _content(file: str) -> bytes:
    if not Path(file).is_file():
        raise InputError(file, "no such file")
    return Path(file).read_bytes()
