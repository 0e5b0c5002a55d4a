"""The words of Keyring: how a request hints at what it never says in numbers, otherwise in each split."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

Cues = dict[str, dict[float, list[str]]]


def _levels(table: dict[str, dict[str, list[str]]]) -> Cues:
    return {split: {float(level): texts for level, texts in found.items()} for split, found in table.items()}


_WORDS: dict[str, Any] = tomllib.loads(files(__package__).joinpath("cues.toml").read_text("utf-8"))
KEYS: dict[str, list[str]] = _WORDS["keys"]
GUESS_CUES = _levels(_WORDS["guess"])
PATIENCE_CUES = _levels(_WORDS["patience"])
SKILL_CUES = _levels(_WORDS["skill"])
