"""Spares the head of a model what a training need not compute: it is as wide as the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from proact.training import products

WHOLE = 32
"""Terms of which 16-bit products sum up any multiple rightly. Of 309 torch 2.13 gave sums that were no number where
every factor was one."""


@contextmanager
def short(model: Any) -> Iterator[None]:
    """Keep a head that does not learn in the 16 bits that it is multiplied in, also where TRL sums up what the states
    before it learn from: it is wide.

    What they learn from is rounded to 16 bits right below anyway, by the product with the weights of the last layer.
    """
    import torch
    from trl.kernels import chunked_logprob

    def product(total: Any, left: Any, right: Any) -> None:
        if left.shape[1] % WHOLE:
            before(total, left, right)
        else:
            total.add_(torch.mm(left, right))

    before = chunked_logprob._addmm_fp32
    chunked_logprob._addmm_fp32 = product
    try:
        with products.kept([model.get_output_embeddings()]):
            yield
    finally:
        chunked_logprob._addmm_fp32 = before


@contextmanager
def labelled_positions_only() -> Iterator[None]:
    """Score the words alone where TRL would run the whole vocabulary over every prompt token.

    It does so on GPUs and spares other devices, some of which compile anew for each shape. A CPU does not, and a step
    takes less than half as long there.
    """
    from trl.trainer import utils

    before = utils._use_triton
    utils._use_triton = lambda device: device.type == "cpu" or before(device)
    try:
        yield
    finally:
        utils._use_triton = before
