"""The subcommands around the flow: convert, world, validate, doctor, audit, models fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from proact import console
from proact.cli.command import finish
from proact.cli.options import (
    BaseUrl,
    Isolation,
    Json,
    Plugins,
    Timeout,
    unfit,
)

KINDS = (
    "state, persona, trajectory, conversation, verdict, reward, pair, measured, metric, weighting, flip, "
    "failure or gold"
)


def convert(
    form: Annotated[str, typer.Argument(metavar="DATASET", help="mbpp, humanevalcomm, clariq or in3")],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The file as published.")],
    out: Annotated[Path | None, Option(help="States. [default: data/seeds/DATASET_states.jsonl]")] = None,
    json: Json = False,
) -> None:
    """Make states of a public data set."""
    from proact.stages import convert as stage

    finish(stage.convert(form, source, out or Path(f"data/seeds/{form}_states.jsonl")), stage.show, json)


def world(
    name: Annotated[str, typer.Argument(metavar="WORLD", help="keyring")],
    alpha: Annotated[float, Option(min=0, help="Weight of the whole cost.")] = 0.2,
    split: Annotated[
        Literal["train", "test", "further"] | None,
        Option(help="Only the starts of this split. [default: train and test]"),
    ] = None,
    plot: Annotated[Path | None, Option(help="Draw the ask rates over alpha as PNG, PDF or SVG.")] = None,
    json: Json = False,
) -> None:
    """Print the exact values of a synthetic world: the best policy, the constant ones, and what training finds."""
    from proact.stages import world as stage

    report = stage.world(name, alpha, split)
    if plot:
        stage.plot(name, plot, split)
    finish(report, stage.show, json)


def validate(
    file: Annotated[Path, typer.Argument(help="JSONL of one of the kinds.")],
    kind: Annotated[str | None, Option(help=f"{KINDS}. [default: by the fields of the first line]")] = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Name every line of a file that is not what it must be."""
    from proact.stages import validate as stage

    finish(stage.validate(file, kind, plugin or []), stage.show, json)


def doctor(
    call: Annotated[bool, Option("--call", help="Make one small call to the model.")] = False,
    model: Annotated[str | None, Option("--model", "--llm-model", help="The model to call.")] = None,
    base_url: BaseUrl = None,
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """Say what is installed and what is missing."""
    from proact.llm import Options
    from proact.stages import doctor as stage

    unfit(not call, "a doctor that makes no --call", model=model, base_url=base_url)
    finish(stage.doctor(model, Options(base_url=base_url, timeout=timeout), call=call), stage.show, json)


def audit(
    what: Annotated[str, typer.Argument(metavar="sandbox", help="What to audit.")] = "sandbox",
    isolation: Isolation = "auto",
    json: Json = False,
) -> None:
    """Run the exploits that ship with proact against this machine's sandbox."""
    from proact.stages import audit as stage

    finish(stage.audit(what, isolation), stage.show, json)


def fetch() -> None:
    """Bring the weights of local:smollm2 into the cache, once."""
    from proact.llm import weights

    console.note(f"local:smollm2 is at {weights.fetch()}")
