"""Reads what rows have in common once: of a pair the prompt, which halves a step on a CPU, of turns the dialogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from proact.llm import causal
from proact.training import frozen, laid

NEAR = 1e-3
"""Hidden states that differ by no more, relative to the largest, are the same."""
Ahead = Callable[[Any, Any], None]
"""Reads rows by their tokens and their attention mask."""


def applies(model: Any, device: str) -> bool:
    """Whether rows can be laid together: on a CPU, and with attention to everything that precedes and nothing else."""
    config = model.config.get_text_config()
    # What a mixture of experts learns hangs by how many tokens each expert gets of the rows that came.
    if hasattr(config, "output_router_logits") or config._attn_implementation != "sdpa":
        return False
    return device == "cpu" and causal.plain(model) and _alike(model.base_model)


def _alike(backbone: Any) -> bool:
    """Whether a backbone makes of rows that are laid together what it makes of each alone.

    No configuration says so: one that keeps a state sees all that lies before it, whatever its attention mask, and one
    that knows distances by that mask takes none for rows that are laid together.
    """
    import torch

    ids = torch.tensor([[0, 1, 2], [0, 1, 3]])
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}
    with torch.no_grad():
        apart = backbone(**given).last_hidden_state
        try:
            with prompts(backbone, 0, apart.dtype, ids.shape[1]):
                together = backbone(**given).last_hidden_state
        except (TypeError, ValueError, LookupError, AttributeError, RuntimeError):
            return False
    return bool((together - apart).abs().max() <= NEAR * apart.abs().max())


@contextmanager
def prompts(backbone: Any, fixed: int, dtype: Any, room: int | None = None) -> Iterator[Ahead]:
    """While open, the backbone reads once what the rows that it is given have in common.

    What its `fixed` lower layers make of a row is kept in `dtype`; the function that this gives reads rows so far, and
    no further. What they make of it hangs by a last bit on the rows beside it, so rows that are read ahead in one order
    are the same whatever happens then. Completions of at most `room` tokens are all that is read: the feed-forward part
    of the top layer, which looks at each token alone, then leaves out what precedes them.
    """
    original = backbone.forward
    lower = frozen.Lower(backbone, fixed, dtype) if fixed and causal.stacked(backbone) else None
    upper = frozen.part(backbone, slice(fixed, None)) if lower else None

    def forward(input_ids: Any, attention_mask: Any, **more: Any) -> Any:
        rows = laid.lay(input_ids, attention_mask)
        given = {name: value for name, value in more.items() if value is not None}
        where = {"attention_mask": rows.mask, "position_ids": rows.places, **given}
        with _top(backbone, laid.tails(rows, room)) if room else nullcontext():
            if lower is None or upper is None:
                out = original(input_ids=rows.ids, **where)
            else:
                out = upper(inputs_embeds=lower.states(rows), **where)
        out.last_hidden_state = laid.gather(rows, out.last_hidden_state, input_ids)
        return out

    def ahead(input_ids: Any, attention_mask: Any) -> None:
        if lower:
            lower.states(laid.lay(input_ids, attention_mask))

    backbone.forward = forward
    try:
        yield ahead
    finally:
        del backbone.forward


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
