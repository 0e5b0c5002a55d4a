"""Reads the prompt of a pair once instead of twice, which halves a step on a CPU.

TRL lays chosen and rejected out as two rows. Both begin with the same tokens, and a causal model gives the same hidden
states for them: so one row holds the prompt and both completions, and a mask keeps the completions apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

from proact.llm import causal
from proact.training import frozen

STRIDE = 32


class Joined(NamedTuple):
    """Rows of one prompt and both completions, and where each token of the rows that came is in them."""

    ids: Any
    mask: Any
    places: Any
    lengths: list[int]
    rows: Any
    columns: Any
    common: list[int]


def applies(model: Any, device: str) -> bool:
    """Whether rows can be joined: on a CPU, and with attention to everything that precedes."""
    config = model.config.get_text_config()
    plain = not getattr(config, "sliding_window", None) and not getattr(config, "layer_types", None)
    return device == "cpu" and plain and config._attn_implementation == "sdpa"


@contextmanager
def prompts(backbone: Any, fixed: int, dtype: Any, room: int | None = None) -> Iterator[None]:
    """While open, the backbone takes rows [chosen; rejected] and reads each pair as one.

    What its `fixed` lower layers make of a row is kept in `dtype`. Completions of at most `room` tokens are all that is
    read: the feed-forward part of the top layer, which looks at each token alone, then leaves out what precedes them.
    """
    original = backbone.forward
    lower = frozen.Lower(backbone, fixed, dtype) if fixed and causal.stacked(backbone) else None
    upper = frozen.part(backbone, slice(fixed, None)) if lower else None

    def forward(input_ids: Any, attention_mask: Any, **more: Any) -> Any:
        if len(input_ids) % 2:
            return original(input_ids=input_ids, attention_mask=attention_mask, **more)
        both = _joined(input_ids, attention_mask)
        given = {name: value for name, value in more.items() if value is not None}
        where = {"attention_mask": both.mask, "position_ids": both.places, **given}
        with _top(backbone, _tails(both, room)) if room else nullcontext():
            if lower is None or upper is None:
                out = original(input_ids=both.ids, **where)
            else:
                out = upper(inputs_embeds=lower.states(both.ids, both.mask, both.places, both.lengths), **where)
        out.last_hidden_state = out.last_hidden_state[both.rows, both.columns]
        return out

    backbone.forward = forward
    try:
        yield
    finally:
        del backbone.forward


def _tails(both: Joined, room: int) -> Any:
    """Which places (pairs, tokens) predict a completion: those of it, and one before."""
    import torch

    at = torch.arange(both.ids.shape[1])
    bounds = torch.tensor([both.common, both.lengths])[:, :, None]
    return (at >= bounds[0] - room) & (at < bounds[1])


@contextmanager
def _top(backbone: Any, read: Any) -> Iterator[None]:
    feed = getattr(backbone.layers[-1], "mlp", None) if causal.stacked(backbone) else None
    if feed is None:
        yield
        return
    original = feed.forward

    def forward(states: Any) -> Any:
        found = original(states[read])
        return found.new_zeros(states.shape).index_put((read,), found)

    feed.forward = forward
    try:
        yield
    finally:
        del feed.forward


def _joined(ids: Any, attention: Any) -> Joined:
    import torch

    pairs, width = len(ids) // 2, ids.shape[1]
    lengths = attention.sum(-1).tolist()
    texts = [row[:length] for row, length in zip(ids.tolist(), lengths, strict=True)]
    common = [_prefix(texts[k], texts[k + pairs]) for k in range(pairs)]
    ends = [lengths[k] + lengths[k + pairs] - common[k] for k in range(pairs)]
    longest = -(-max(ends) // STRIDE) * STRIDE
    joined = torch.zeros((pairs, longest), dtype=ids.dtype)
    places = torch.zeros((pairs, longest), dtype=torch.long)
    part = torch.full((pairs, longest), 3)
    rows = torch.arange(pairs).repeat(2)[:, None].expand(-1, width)
    columns = torch.zeros((2 * pairs, width), dtype=torch.long)
    for k, (shared, end) in enumerate(zip(common, ends, strict=True)):
        first, second = texts[k], texts[k + pairs]
        joined[k, :end] = torch.tensor(first + second[shared:])
        places[k, :end] = torch.tensor([*range(len(first)), *range(shared, len(second))])
        part[k, :shared], part[k, shared : len(first)], part[k, len(first) : end] = 0, 1, 2
        columns[k, : len(first)] = torch.arange(len(first))
        columns[k + pairs, : len(second)] = torch.tensor([*range(shared), *range(len(first), end)])
    before = torch.ones(longest, longest, dtype=torch.bool).tril()
    together = (part[:, None, :] == 0) | (part[:, None, :] == part[:, :, None])
    return Joined(joined, (before & together)[:, None], places, ends, rows, columns, common)


def _prefix(one: list[int], other: list[int]) -> int:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length
