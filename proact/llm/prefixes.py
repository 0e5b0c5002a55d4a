"""What a model made of the beginnings of prompts, so that the next turn of a dialogue reads what is new alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

KEPT = 64
"""Prompts that are remembered, the last ones; dialogues that are played side by side are fewer."""
ROOM = 512 << 20
"""Bytes of keys and values that are remembered."""


class Read(NamedTuple):
    """A prompt and the keys and values (layers, heads, tokens, width) of its tokens."""

    tokens: list[int]
    keys: Any
    values: Any

    @property
    def size(self) -> int:
        return int(self.keys.nbytes + self.values.nbytes)


class Begun(NamedTuple):
    """Of a prompt: one that was read before, and how many tokens they begin with alike."""

    read: Read | None
    common: int


class Prefixes:
    """The prompts that a model has read last."""

    def __init__(self) -> None:
        self._read: list[Read] = []

    def begun(self, tokens: Sequence[int]) -> Begun:
        """The longest beginning that is known. The last token is always read anew: what follows it is asked for."""
        most = len(tokens) - 1
        found = [Begun(read, min(most, alike(read.tokens, tokens))) for read in self._read]
        return max((one for one in found if one.common), key=lambda one: one.common, default=Begun(None, 0))

    def keep(self, tokens: list[int], keys: Any, values: Any) -> None:
        self._read.append(Read(tokens, keys, values))
        while len(self._read) > KEPT or sum(read.size for read in self._read) > ROOM:
            del self._read[0]


def past(begun: Sequence[Begun], length: int) -> Any:
    """The cache of a batch (a row each) whose rows end at `length` tokens together; none when nothing is known."""
    import torch
    from transformers import DynamicCache

    some = next((one.read for one in begun if one.read), None)
    if some is None:
        return None
    sides = []
    for side in ("keys", "values"):
        like = getattr(some, side)
        layers, heads, _, width = like.shape
        whole = like.new_zeros((layers, len(begun), heads, length, width))
        for row, (read, common) in enumerate(begun):
            if read:
                whole[:, row, :, length - common :] = getattr(read, side)[:, :, :common]
        sides.append(whole)
    return DynamicCache(list(zip(*(torch.unbind(side) for side in sides), strict=True)))


def read(cache: Any, row: int, places: Any) -> tuple[Any, Any]:
    """The keys and values of the places of one row of a cache."""
    import torch

    keys, values = (
        torch.stack([getattr(layer, side)[row][:, places] for layer in cache.layers]) for side in ("keys", "values")
    )
    return keys, values


def alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length
