"""The subcommands that learn a policy and hand it on: train and export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from proact.cli.command import perform
from proact.cli.options import PAIRS, REWARDS, TRAJECTORIES, Json, Plugins, unfit
from proact.errors import UsageError

POLICY = Path("outputs/policy")
Base = Annotated[str, Option("--model", help="local:smollm2, local:FILE.gguf, or a Hugging Face name or folder.")]
Epochs = Annotated[float, Option(min=0.01, help="Passes over the pairs.")]
Rate = Annotated[float | None, Option(min=1e-12, help="Learning rate. [default: by size and method]")]
Beta = Annotated[
    float, Option(min=0.001, help="Pull to the base; with reward, the advantage at which the odds are e to 1.")
]
Loss = Annotated[str, Option(help="reward, or TRL's name of a loss, or several with commas.")]
Lora = Annotated[bool, Option("--lora/--full", help="Train an adapter, or all weights of the layers that learn.")]
Rank = Annotated[int | None, Option(min=1, help="Rank of the adapter. [default: 8; from 1e9 parameters on 16]")]
Depth = Annotated[
    int | None,
    Option(min=1, help="How many layers of the base, from the bottom, a policy keeps. [default: all]"),
]
Layers = Annotated[
    int | None,
    Option(min=1, help="How many of them, from the top, learn. [default: all; adapters on a CPU: a third]"),
]
Batch = Annotated[int | None, Option(min=1, help="Pairs a step. [default: 8; on a GPU 16]")]
Target = Literal["action", "text"]
MOST = 2**32 - 1
"""The largest seed that the libraries of training take."""


def train(
    data: Annotated[Path, Option(help="Preference pairs.")] = PAIRS,
    model: Base = "local:smollm2",
    start: Annotated[Path | None, Option(help="Begin with the weights of this policy instead of the base's.")] = None,
    output: Annotated[Path, Option(help="Folder of the policy; an interrupted training in it goes on.")] = POLICY,
    target: Annotated[Target, Option(help="Learn to name the action, or to write the message.")] = "action",
    epochs: Epochs = 3.0,
    lr: Rate = None,
    beta: Beta = 0.1,
    lora: Lora = True,
    lora_r: Rank = None,
    depth: Depth = None,
    layers: Layers = None,
    qlora: Annotated[bool, Option("--qlora", help="The adapter on a base of 4 bits; needs a GPU.")] = False,
    batch_size: Batch = None,
    loss: Loss = "sigmoid",
    seed: Annotated[int, Option(min=0, max=MOST, help="Of the split, the adapter and the order.")] = 0,
    eval_fraction: Annotated[float, Option(min=0, max=0.9, help="Share of the state families that is held out.")] = 0.1,
    held_out: Annotated[
        list[Path] | None,
        Option(help="States, trajectories, pairs, logs or exported rows to evaluate on: refuse to train on them."),
    ] = None,
    max_length: Annotated[int, Option(min=16, help="Tokens of a pair; longer ones are left out and counted.")] = 1024,
    gpus: Annotated[int, Option(min=1, help="How many GPUs; started by accelerate.")] = 1,
    report_to: Annotated[str, Option(help="none, or wandb, mlflow, trackio.")] = "none",
    even_if_constant: Annotated[
        bool, Option("--even-if-constant", help="Train although the pairs say that one action is always best.")
    ] = False,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace what another training left in the folder.")] = False,
    json: Json = False,
) -> None:
    """Train a policy on preference pairs by DPO. Needs: pip install 'proact[train]'."""
    from proact.stages import train as stage
    from proact.training.plan import Options

    options = Options(
        model=model,
        start=str(start) if start else None,
        target=target,
        epochs=epochs,
        lr=lr,
        beta=beta,
        lora=lora,
        lora_r=lora_r,
        depth=depth,
        layers=layers,
        qlora=qlora,
        batch_size=batch_size,
        loss=loss,
        seed=seed,
        eval_fraction=eval_fraction,
        max_length=max_length,
        gpus=gpus,
        report_to=report_to,
    )
    settings = stage.Settings(
        data=str(data),
        output=str(output),
        options=options,
        held_out=[str(path) for path in held_out or []],
        even_if_constant=even_if_constant,
        overwrite=overwrite,
    )
    perform(stage, settings, str(data), json)


def export(
    policy: Annotated[Path | None, typer.Argument(metavar="[POLICY]", help="What train wrote; with --gguf.")] = None,
    gguf: Annotated[Path | None, Option(help="Write the policy as this file, for the embedded engine.")] = None,
    format: Annotated[
        Literal["sft", "kto", "trl-dpo"] | None, Option(help="Write rows for another trainer instead.")
    ] = None,
    target: Annotated[Target, Option(help="Rows that name the action, or hold the message.")] = "text",
    trajectories: Annotated[Path, Option(help="For sft and kto: what generate wrote.")] = TRAJECTORIES,
    rewards: Annotated[Path, Option(help="For sft and kto: what reward wrote.")] = REWARDS,
    pairs: Annotated[Path, Option(help="For trl-dpo: preference pairs.")] = PAIRS,
    out: Annotated[Path | None, Option(help="Where the rows go. [default: data/dpo/FORMAT.jsonl]")] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Write a trained policy as GGUF, or rewarded trajectories as rows for another trainer."""
    from proact.stages import export as stage

    if (policy is None) != (gguf is None) or (policy is None) == (format is None):
        raise UsageError("expected either POLICY --gguf FILE, or --format sft, kto or trl-dpo")
    unfit(gguf is not None, "POLICY --gguf FILE", out=out, plugin=plugin)
    settings = stage.Settings(
        out=str(gguf or out or f"data/dpo/{format}.jsonl"),
        policy=str(policy) if policy else None,
        format=format,
        target=target,
        trajectories=str(trajectories),
        rewards=str(rewards),
        pairs=str(pairs),
        plugins=[str(path) for path in plugin or []],
    )
    perform(stage, settings, None, json)
