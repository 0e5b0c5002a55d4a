"""Spares the head of a model what a training need not compute: it is as wide as the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def short(model: Any) -> Iterator[None]:
    """Keep a head that does not learn in the 16 bits that it is multiplied in: it is wide, and each step would convert
    all of it twice."""
    import torch

    head = model.get_output_embeddings()
    whole = head.weight
    head.weight = torch.nn.Parameter(whole.detach().bfloat16(), requires_grad=False)
    try:
        yield
    finally:
        head.weight = whole


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
