"""How things are named and how chance is drawn: ids, content hashes, and randomness keyed by what it decides."""

from __future__ import annotations

import random
from hashlib import blake2b
from typing import Any

import msgspec


def digest(*parts: Any) -> str:
    """A short stable name for any JSON-like content (16 hex digits of blake2b)."""
    return blake2b(msgspec.json.encode(parts), digest_size=8).hexdigest()


def digest64(text: str) -> int:
    """A 64-bit integer that stands for a text in a compact set."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def keyed_random(seed: int, state: str, persona: str, turn: int, replicate: int, purpose: str) -> random.Random:
    """The generator for one decision of chance.

    Neither method nor branch is part of the key, so that every branch and every policy meets the same user.
    """
    return random.Random(digest64(msgspec.json.encode([seed, state, persona, turn, replicate, purpose]).decode()))


def conversation_id(state: str, persona: str, method: str, seed: int) -> str:
    return f"{state}/{persona}/{method}/{seed}"


def trajectory_id(group: str, branch: str, replicate: int) -> str:
    return f"{group}/{branch}" + (f"~{replicate}" if replicate else "")
