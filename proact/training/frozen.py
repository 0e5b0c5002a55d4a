"""Computes the layers below an adapter once per row: nothing in them changes during a training.

On a CPU they are most of the forward pass; the backward pass ends at the lowest layer that learns anyway.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from proact.training.laid import Laid, Trace

ROOM = 2 << 30
"""Bytes of hidden states that are kept; rows beyond them are computed anew each time."""


def part(backbone: Any, layers: slice, **replaced: Any) -> Any:
    """Some of the layers of a backbone as one of its own, which shares their weights."""
    from torch.nn import ModuleList

    found = copy.copy(backbone)
    found._modules = {**backbone._modules, "layers": ModuleList(backbone.layers[layers]), **replaced}
    return found


class Kept(NamedTuple):
    """The hidden states of a row (tokens, width), as far as they are not those of another row before it."""

    before: tuple[int, ...] | None
    common: int
    rest: Any


class Lower:
    """The first `count` layers of a backbone, and what they made of each row."""

    def __init__(self, backbone: Any, count: int, dtype: Any) -> None:
        from torch.nn import Identity

        self._layers = part(backbone, slice(count), norm=Identity())
        self._dtype = dtype
        self._kept: dict[tuple[int, ...], Kept] = {}
        self._room = ROOM

    def states(self, laid: Laid) -> Any:
        """The hidden states (rows, tokens, width) of rows that are laid together; those of padding are zero."""
        import torch

        states = torch.zeros((*laid.ids.shape, self._layers.config.hidden_size))
        new = [trace for trace in laid.traces.values() if trace.tokens not in self._kept]
        if new:
            with torch.no_grad():
                given = {"attention_mask": laid.mask, "position_ids": laid.places}
                read = self._layers(input_ids=laid.ids, **given).last_hidden_state.to(self._dtype)
            for trace in new:
                states[trace.laid, trace.at] = read[trace.laid, trace.at].float()
                self._keep(trace, read[trace.laid, trace.at])
        for trace in laid.traces.values():
            if trace.tokens in self._kept:
                states[trace.laid, trace.at[trace.common :]] = self._whole(trace.tokens)[trace.common :].float()
        return states

    def _keep(self, trace: Trace, states: Any) -> None:
        if trace.tokens in self._kept:
            return
        linked = trace.before in self._kept
        common = trace.common if linked else 0
        rest = states[common:].clone()
        size = rest.numel() * rest.element_size()
        if size <= self._room:
            self._room -= size
            self._kept[trace.tokens] = Kept(trace.before if linked else None, common, rest)

    def _whole(self, tokens: tuple[int, ...]) -> Any:
        import torch

        found = self._kept[tokens]
        if found.before is None:
            return found.rest
        return torch.cat([self._whole(found.before)[: found.common], found.rest])
