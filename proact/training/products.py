"""Spares a training in 16 bits on a CPU what its products do not need.

Processors that multiply 16 bits natively do so many times as fast as 32: what is left of a step is then the attention,
whose backward pass torch computes at the speed of neither, and conversions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

NAME = "products"
"""Of the attention below, as transformers knows it."""
SCORES = 1 << 23
"""Scores of a layer, of each token for each other, from which keeping them for the way back takes too much memory."""
PLAIN = {"scaling", "dropout", "is_causal", "position_ids", "use_cache", "sliding_window"}
"""What an attention may be told and still be the plain one; a window is ruled out where rows are laid together."""
NORMS = {"input_layernorm", "post_attention_layernorm"}
"""Norms of a layer that are read by products alone, where it has no others."""


@contextmanager
def kept(parts: Iterable[Any]) -> Iterator[None]:
    """While open, weights that do not learn are kept in the 16 bits that they are multiplied in: autocast would convert
    all of them at each step."""
    import torch

    whole = [(part, part.weight) for part in parts]
    try:
        for part, weight in whole:
            part.weight = torch.nn.Parameter(weight.detach().bfloat16(), requires_grad=False)
        yield
    finally:
        for part, weight in whole:
            part.weight = weight


@contextmanager
def sixteen(model: Any, fixed: int) -> Iterator[None]:
    """While open, layers attend by products of matrices, what several products read is converted once, and the `fixed`
    lower layers are kept in 16 bits."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, partial(attend, fixed))
    AttentionMaskInterface.register(NAME, sdpa_mask)
    config = model.config.get_text_config()
    before, config._attn_implementation = config._attn_implementation, NAME
    with ExitStack() as stack:
        stack.callback(setattr, config, "_attn_implementation", before)
        for layer in model.base_model.layers:
            parts = {name: part for name, part in layer.named_children() if name.endswith("norm")}
            for norm in parts.values() if parts.keys() == NORMS else ():
                stack.callback(norm.register_forward_hook(_short).remove)
        stack.enter_context(kept(_linear(model.base_model.layers[:fixed])))
        yield


@contextmanager
def adapter(model: Any) -> Iterator[None]:
    """While open, an adapter reads 16 bits as they are, where it would make 32 of them and autocast 16 again, and the
    weights that it adds to are kept in 16."""
    from peft.helpers import disable_input_dtype_casting

    with disable_input_dtype_casting(model), kept(part for part in _linear([model]) if not part.weight.requires_grad):
        yield


def _linear(parts: Iterable[Any]) -> list[Any]:
    from torch.nn import Linear

    return [one for part in parts for one in part.modules() if type(one) is Linear]


def _short(norm: Any, given: Any, found: Any) -> Any:
    return found.bfloat16()


def attend(fixed: int, module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **more: Any) -> Any:
    """As transformers' `sdpa`, which does it for many scores, for what is not `PLAIN`, and in the `fixed` lower layers:
    forwards it is the faster one."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    rows, heads, tokens, width = query.shape
    told = {name for name, said in more.items() if said is not None} - PLAIN
    many = rows * heads * tokens * tokens > SCORES
    if told or many or more.get("dropout") or attention_mask is None or getattr(module, "layer_idx", fixed) < fixed:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **more)
    few = key.shape[1]
    key, value = key.bfloat16(), value.bfloat16()
    # Heads that share their keys are one product, in place of one for each with a copy of the keys.
    asked = (query * (more.get("scaling") or width**-0.5)).bfloat16().reshape(rows, few, -1, width)
    unseen = torch.zeros(attention_mask.shape, dtype=key.dtype).masked_fill(~attention_mask, -torch.inf)
    scores = (asked @ key.transpose(-1, -2)).view(rows, few, -1, tokens, tokens) + unseen[:, :, None]
    # It computes in 32 bits whatever it reads, and autocast would have it read and write them.
    with torch.autocast("cpu", enabled=False):
        shares = torch.softmax(scores, -1)
    found = (shares.view(rows, few, -1, tokens) @ value).view(rows, heads, tokens, -1)
    return found.transpose(1, 2).contiguous(), None
