"""Computes the layers below an adapter once per row: nothing in them changes during a training.

On a CPU they are most of the forward pass; the backward pass ends at the lowest layer that learns anyway.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

ROOM = 2 << 30
"""Bytes of hidden states that are kept; rows beyond them are computed anew each time."""


def part(backbone: Any, layers: slice, **replaced: Any) -> Any:
    """Some of the layers of a backbone as one of its own, which shares their weights."""
    from torch.nn import ModuleList

    found = copy.copy(backbone)
    found._modules = {**backbone._modules, "layers": ModuleList(backbone.layers[layers]), **replaced}
    return found


class Lower:
    """The first `count` layers of a backbone, and what they made of each row."""

    def __init__(self, backbone: Any, count: int, dtype: Any) -> None:
        from torch.nn import Identity

        self._layers = part(backbone, slice(count), norm=Identity())
        self._dtype = dtype
        self._kept: dict[bytes, Any] = {}
        self._room = ROOM

    def states(self, ids: Any, mask: Any, places: Any, lengths: Sequence[int]) -> Any:
        """The hidden states (rows, tokens, width) of rows that hold `lengths` tokens each; padding is zero.

        Ids and places tell rows apart: with the places it is known where the second completion begins.
        """
        import torch

        both = torch.stack([ids, places], 1)
        names = [row[:, :length].numpy().tobytes() for row, length in zip(both, lengths, strict=True)]
        found = {name: self._kept[name] for name in names if name in self._kept}
        if len(found) < len(set(names)):
            with torch.no_grad():
                read = self._layers(input_ids=ids, attention_mask=mask, position_ids=places).last_hidden_state
            for name, row, length in zip(names, read, lengths, strict=True):
                if name not in found:
                    found[name] = self._keep(name, row[:length].to(self._dtype))
        states = torch.zeros((*ids.shape, self._layers.config.hidden_size))
        for row, (name, length) in enumerate(zip(names, lengths, strict=True)):
            states[row, :length] = found[name]
        return states

    def _keep(self, name: bytes, states: Any) -> Any:
        size = states.numel() * states.element_size()
        if size <= self._room:
            self._room -= size
            self._kept[name] = states.clone()
        return states
