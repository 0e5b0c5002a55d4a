"""The mean of several trainings, in which less is left of what each of them owes to the order of its pairs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from proact import disk, jsonl
from proact.errors import UsageError
from proact.llm import causal
from proact.llm.learned import unchanged
from proact.training import manifest

LIKE = ("base_fingerprint", "depth", "target", "spelling")
"""What policies must share for their weights to have a mean."""
NOT_COPIED = (manifest.FILE, manifest.RUN, manifest.COURSE, manifest.CURVES)
"""What tells of one training."""


def cook(policies: Sequence[Path], output: Path) -> manifest.Manifest:
    """A policy whose weights are the mean of those of others that began alike (Wortsman et al. 2022, arXiv 2203.05482).

    No metric of one training is one of the mean, so it has none. Raises UsageError for policies of other models, and
    for adapters: the mean of their factors is another thing than the mean of their products.
    """
    told = [manifest.read(folder) for folder in policies]
    first = told[0]
    for folder, found in zip(policies, told, strict=True):
        unchanged(folder, found)
        if found.adapter:
            raise UsageError(f"{folder}: is an adapter, which has no mean with others; train all weights (--full)")
        if other := next((name for name in LIKE if getattr(found, name) != getattr(first, name)), None):
            raise UsageError(f"{folder}: has another {other} than {policies[0]}, so their weights have no mean")
    output.mkdir(parents=True, exist_ok=True)
    for beside in policies[0].iterdir():
        if beside.is_file() and beside.suffix != ".safetensors" and beside.name not in NOT_COPIED:
            shutil.copy(beside, output / beside.name)
    for name in sorted(file.name for file in policies[0].glob("*.safetensors")):
        _mean([folder / name for folder in policies], output / name)
    learned = {family for found in told for family in found.families["train"]}
    measured = {family for found in told for family in found.families["eval"]}
    made = msgspec.structs.replace(
        first,
        weights=causal.content(output),
        families={"train": sorted(learned), "eval": sorted(measured - learned)},
        settings={**first.settings, "soup": [str(folder) for folder in policies]},
        metrics=dict.fromkeys(first.metrics),
    )
    manifest.write(output, made)
    return made


def _mean(files: Sequence[Path], output: Path) -> None:
    """One file of weights; the sums have 32 bits."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    with ExitStack() as stack:
        opened: list[Any] = [stack.enter_context(safe_open(file, framework="pt")) for file in files]
        means = {}
        for name in opened[0].keys():  # noqa: SIM118 (an opened file is no mapping)
            values = [one.get_tensor(name) for one in opened]
            means[name] = torch.stack([value.float() for value in values]).mean(0).to(values[0].dtype)
    with disk.saving(output), jsonl.replace(output) as made:
        save_file(means, made.name, metadata={"format": "pt"})
