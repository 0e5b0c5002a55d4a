"""Counts tokens where a tokenizer is at hand; nothing is downloaded and nothing guessed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from proact.errors import InputError, UsageError


@cache
def counter(file: str | None) -> Callable[[str], int] | None:
    """How many tokens a text has, by a Hugging Face tokenizer.json; None without one.

    Raises UsageError without the `tokenizers` package, InputError for a file that is none.
    """
    if file is None:
        return None
    if not importlib.util.find_spec("tokenizers"):
        raise UsageError("--tokenizer needs the package tokenizers: pip install tokenizers")
    if not Path(file).is_file():
        raise InputError(file, "no such file")
    kind: Any = importlib.import_module("tokenizers").Tokenizer
    tokenizer = kind.from_file(file)
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
