"""A reward as the sum that it is: each part with its amount, its weight and what it adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from proact import sidecar
from proact.errors import InputError
from proact.rewards.specs import SPECS, Spec


class Part(NamedTuple):
    """One addend of a reward; `adds` is amount times weight."""

    name: str
    amount: float | None
    weight: float
    adds: float | None


def breakdown(components: Mapping[str, float | None], task_score: float | None, spec: Spec) -> list[Part]:
    """The addends of the total, the task score first. A `per-turn` cost below 0 is cut off, which is a part too."""
    parts = [_part("task score", task_score, spec.w_task)]
    if spec.formula == "per-turn":
        costs = {"rejects": -0.7, "n_clarify": -0.05, "answered": 0.05}
    else:
        weights = {"n_questions": spec.w_questions, "rejects": spec.w_reject}
        weights |= {"long_turns": spec.w_long, "off_topic": spec.w_off_topic}
        costs = {name: -spec.alpha * weight for name, weight in weights.items()}
    priced = [_part(name, components.get(name) or 0.0, weight) for name, weight in costs.items()]
    gain = sum(part.adds or 0.0 for part in priced)
    if spec.formula == "per-turn" and gain > 0:
        priced.append(Part("never below 0", 1.0, -gain, -gain))
    return [*parts, *priced, *(_part(name, components.get(name), weight) for name, weight in spec.components.items())]


def known_spec(label: str, outputs: Sequence[Path] = ()) -> Spec | None:
    """The spec of that label: a shipped one, or one that the meta file of these rewards or pairs holds; None when it
    is nowhere. Raises InputError as `noted_spec` does."""
    for spec in SPECS.values():
        if spec.label == label:
            return spec
    for output in outputs:
        if (own := noted_spec(output)) and own.label == label:
            return own
    return None


def noted_spec(output: Path) -> Spec | None:
    """The spec in the meta file of rewards or pairs; None without one. Raises InputError for one that is none."""
    body = sidecar.read_meta(output).get("spec")
    try:
        return None if body is None else msgspec.convert(body, Spec)
    except msgspec.ValidationError as error:
        raise InputError(sidecar.meta_path(output), f"is no reward spec ({error})", field="spec") from None


def _part(name: str, amount: float | None, weight: float) -> Part:
    return Part(name, amount, weight, None if amount is None else amount * weight)
