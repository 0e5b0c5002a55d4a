"""The weights that a training has left: never others than its manifest says, and never on another base."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from proact.errors import UsageError
from proact.llm import causal
from proact.llm.causal import Loaded

FILE = "policy.json"
S = TypeVar("S", bound=msgspec.Struct)


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest says of the weights of its policy."""

    base: str
    base_fingerprint: str
    depth: int | None = None
    """Layers of the base that the policy keeps; None for all."""
    adapter: bool
    weights: str


def decoded(raw: bytes, kind: type[S], where: str) -> S:
    """A manifest, or a part of one, as it stands in a file. Raises UsageError for a damaged one."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        raise UsageError(f"{where}: is not the manifest of a trained policy: {error}") from None


def unchanged(folder: Path, found: Weights) -> None:
    """Raises UsageError when a folder holds other weights than those that its manifest was written for."""
    if causal.content(folder) != found.weights:
        raise UsageError(f"{folder}: holds other weights than its {FILE} describes; train again, with --overwrite")


def on_its_base(folder: Path, found: Weights, model: Any) -> None:
    """Raises UsageError when the base of a policy is not what it was when the policy was trained."""
    if causal.fingerprint(found.base, model) != found.base_fingerprint:
        raise UsageError(f"{folder}: was trained on other weights than {found.base} has now")


def load(folder: Path, found: Weights, how: Callable[..., Loaded] = causal.load) -> Loaded:
    """The model of a policy, as `causal.load` or `causal.reader` gives it.

    Raises UsageError where its weights or those of its base are not what they were, or cannot be loaded.
    """
    unchanged(folder, found)
    if not found.adapter:
        return how(str(folder))
    loaded = how(found.base, folder, found.depth)
    on_its_base(folder, found, loaded.model)
    return loaded
