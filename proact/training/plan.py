"""The settings of a training: what the user said, and defaults for this machine and model where nothing was said."""

from __future__ import annotations

import importlib.util
from typing import Any

import msgspec

from proact.errors import UsageError
from proact.training import rewarded, trackers
from proact.training.manifest import Target

LOSSES = (
    "sigmoid",
    "sigmoid_norm",
    "hinge",
    "ipo",
    "nca_pair",
    "sppo_hard",
    "aot",
    "apo_zero",
    "apo_down",
    "discopop",
    "sft",
)
"""TRL's losses that need no further setting."""
LIBRARIES = ("trl", "peft", "accelerate", "datasets")
"""What trains, beside what runs a model."""
UPPER = 3
"""On a CPU an adapter is in one layer of so many: what lies below is computed once, which leaves time for pairs."""
SMALL = 1_000_000_000
"""Parameters below which a model takes larger steps."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said on the command line; None is decided here."""

    model: str
    start: str | None = None
    target: Target = "action"
    epochs: float = 3.0
    lr: float | None = None
    beta: float = 0.1
    lora: bool = True
    lora_r: int | None = None
    depth: int | None = None
    layers: int | None = None
    qlora: bool = False
    batch_size: int | None = None
    loss: str = "sigmoid"
    seed: int = 0
    eval_fraction: float = 0.1
    max_length: int = 1024
    gpus: int = 1
    report_to: str = "none"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides the bytes of a trained policy, beside the data."""

    model: str
    start: str | None
    target: Target
    device: str
    short_floats: bool
    epochs: float
    lr: float
    beta: float
    lora: bool
    lora_r: int
    depth: int
    layers: int
    qlora: bool
    batch_size: int
    loss: list[str]
    seed: int
    max_length: int


def plan(options: Options, parameters: int, layers: int) -> Plan:
    """The defaults by device, size and method. Raises UsageError for what was asked for and is not here."""
    from proact.llm import causal

    where = causal.device()
    asked_for(options, where)
    small = parameters < SMALL
    loss = losses(options.loss, options.target)
    depth = _depth(options, layers)
    if (options.layers or 0) > depth:
        raise UsageError(f"--layers {options.layers}: the policy has {depth}")
    learning = options.layers or (-(-depth // UPPER) if options.lora and where == "cpu" else depth)
    return Plan(
        model=options.model,
        start=options.start,
        target=options.target,
        device=where,
        short_floats=causal.short_floats(),
        epochs=options.epochs,
        lr=_rate(options.lora, small, learning < depth) if options.lr is None else options.lr,
        beta=options.beta,
        lora=options.lora,
        lora_r=(options.lora_r or (8 if small else 16)) if options.lora else 0,
        depth=depth,
        layers=learning,
        qlora=options.qlora,
        batch_size=options.batch_size or (8 if where == "cpu" else 16),
        loss=loss,
        seed=options.seed,
        max_length=options.max_length,
    )


def foresee(options: Options) -> None:
    """Raises UsageError for what a training with these options would end with, as far as that can be told without the
    weights of its base."""
    from proact.llm import causal

    causal.needed(*LIBRARIES)
    from transformers import AutoConfig

    with causal.quiet():
        try:
            config = AutoConfig.from_pretrained(causal.source(options.model))
        except (OSError, ValueError) as error:
            raise UsageError(f"{options.model}: cannot be loaded: {causal.first_line(error)}") from None
    plan(options, 0, config.get_text_config().num_hidden_layers)


def _rate(lora: bool, small: bool, upper_only: bool) -> float:
    """A learning rate: the fewer weights learn, the larger the steps that they can take."""
    if lora:
        return 1e-3 if small else 5e-5
    if upper_only:
        return 5e-4 if small else 2e-5
    return 3e-5 if small else 1e-6


def _depth(options: Options, layers: int) -> int:
    """Layers of the base that the policy keeps. Raises UsageError for more than there are, and for fewer where texts
    are learned, which all layers must write."""
    if (options.depth or 0) > layers:
        raise UsageError(f"--depth {options.depth}: {options.model} has {layers} layers")
    if options.target == "text" and options.depth not in (None, layers):
        raise UsageError(f"--depth {options.depth}: writing takes all layers (--target action)")
    return options.depth or layers


def asked_for(options: Options, where: str) -> None:
    """Raises UsageError for options that contradict each other, and for hardware or a package that is absent: no other
    run takes the place of the one asked for."""
    import torch

    if not options.lora and (options.lora_r or options.qlora):
        adapter = "--qlora" if options.qlora else f"--lora-r {options.lora_r}"
        raise UsageError(f"{adapter} is of an adapter, and --full trains none; give one of them")
    if options.qlora and where != "cuda":
        raise UsageError("--qlora needs an NVIDIA GPU, and there is none here")
    if options.qlora and importlib.util.find_spec("bitsandbytes") is None:
        raise UsageError("--qlora needs bitsandbytes: pip install bitsandbytes")
    if options.gpus > 1 and torch.cuda.device_count() < options.gpus:
        raise UsageError(f"--gpus {options.gpus}: this machine has {torch.cuda.device_count()}")
    trackers.installed(options.report_to)


def losses(named: str, target: Target) -> list[str]:
    """The losses named on the command line. Raises UsageError for one that there is not, or does not fit."""
    found = named.split(",")
    if rewarded.NAME in found and len(found) > 1:
        raise UsageError(f"--loss {named}: {rewarded.NAME} stands alone")
    if found == [rewarded.NAME]:
        if target == "text":
            raise UsageError("--loss reward: compares the words of the actions, not texts (--target action)")
        return found
    if unknown := [name for name in found if name not in LOSSES]:
        known = ", ".join(LOSSES)
        raise UsageError(f"--loss {unknown[0]}: expected {rewarded.NAME}, or one or several of {known}")
    return found


def said(chosen: Plan) -> str:
    """The settings in a line."""
    way = "all weights"
    if chosen.lora:
        bits = " on 4 bits" if chosen.qlora else ""
        way = f"LoRA of rank {chosen.lora_r}{bits}"
    way += f" of the upper {chosen.layers} of {chosen.depth} layers"
    numbers = "bfloat16" if chosen.short_floats else "float32"
    parts = [
        f"{chosen.model} on {chosen.device} ({numbers})",
        way,
        f"learning rate {chosen.lr:g}",
        f"batch {chosen.batch_size}",
        f"{chosen.epochs:g} epochs",
        f"beta {chosen.beta:g}",
        f"loss {'+'.join(chosen.loss)}",
        f"target {chosen.target}",
    ]
    return ", ".join(parts)


def packages() -> dict[str, str]:
    """The versions that a result depends on."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", *LIBRARIES)}


def as_json(found: Plan) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(found)
    return body
