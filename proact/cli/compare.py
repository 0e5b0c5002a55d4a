"""The subcommands that measure and explain what others have made: eval, sweep, explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from proact.cli.command import perform
from proact.cli.options import (
    PAIRS,
    REWARDS,
    TRAJECTORIES,
    VERDICTS,
    Domain,
    Json,
    Plugins,
    choices,
    named_files,
    prices,
    steps,
)
from proact.errors import UsageError

Rewards = Annotated[list[Path] | None, Option("--rewards", help="What reward wrote; may be repeated.")]
Steps = Annotated[str | None, Option(help="A value, or FROM:TO:STEP.")]


def evaluate(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Trajectories or logs.")] = None,
    method: Annotated[list[str] | None, Option(help="NAME=FILE: compare this file under this name.")] = None,
    verdicts: Annotated[list[Path] | None, Option(help="What judge wrote; may be repeated.")] = None,
    verdict_spec: Annotated[list[str] | None, Option(help="JUDGE=SPEC, where a judge has several.")] = None,
    rewards: Rewards = None,
    profiles: Annotated[Path | None, Option(help="Users of a log, with their preferences.")] = None,
    problems: Annotated[Path | None, Option(help="Problems of a log, with their solutions.")] = None,
    join: Annotated[Literal["id", "position"], Option(help="How logs find their profiles and problems.")] = "id",
    gold: Annotated[Path | None, Option(help="What people say of the judged subjects.")] = None,
    pairs: Annotated[Path | None, Option(help="Preference pairs: how often is the better action taken?")] = None,
    by: Annotated[Literal["seed", "persona", "family", "split"] | None, Option(help="Measure each part too.")] = None,
    interval: Annotated[Literal["auto", "bootstrap"], Option(help="auto: t, and Wilson for rates.")] = "auto",
    tau: Annotated[float, Option(min=0, max=1, help="Feedback below this confidence does not count.")] = 0.6,
    domain: Domain = None,
    price: Annotated[str | None, Option(help="Dollars per million tokens: PROMPT/COMPLETION.")] = None,
    out: Annotated[Path, Option(help="Folder of the tables, the picture and the page.")] = Path("data/eval"),
    browse: Annotated[int, Option(min=0, help="How many conversations the page holds.")] = 10_000,
    plot: Annotated[bool, Option(help="Draw the pictures.")] = True,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Measure conversations and compare methods: metrics with intervals, paired tests, a picture and a page.

    Without a FILE, what generate, reward and judge wrote in data/logs is measured.
    """
    from proact.stages import eval as stage

    named = named_files(method)
    if not files and not named:
        files, rewards, verdicts = [TRAJECTORIES], rewards or _there(REWARDS), verdicts or _there(VERDICTS)
    settings = stage.Settings(
        sources=[(str(path), "") for path in files or []] + named,
        out=str(out),
        verdicts=[str(path) for path in verdicts or []],
        verdict_specs=choices(verdict_spec),
        rewards=[str(path) for path in rewards or []],
        profiles=str(profiles) if profiles else None,
        problems=str(problems) if problems else None,
        join=join,
        gold=str(gold) if gold else None,
        pairs=str(pairs) if pairs else None,
        by=by,
        interval=interval,
        tau=tau,
        domain=domain,
        price=prices(price, None),
        browse=browse,
        plot=plot,
        plugins=[str(path) for path in plugin or []],
    )
    perform(stage, settings, None, json)


def _there(path: Path) -> list[Path]:
    return [path] if path.exists() else []


def sweep(
    trajectories: Annotated[Path, Option(help="What generate wrote.")] = TRAJECTORIES,
    rewards: Annotated[Path, Option(help="What reward wrote.")] = REWARDS,
    spec: Annotated[
        str | None, Option(help="The spec that weights are changed in. [default: that of the rewards]")
    ] = None,
    alpha: Steps = None,
    w_questions: Steps = None,
    w_reject: Steps = None,
    w_long: Steps = None,
    w_off_topic: Steps = None,
    w_task: Steps = None,
    component: Annotated[list[str] | None, Option(help="NAME=VALUE or NAME=FROM:TO:STEP; may be repeated.")] = None,
    pairs: Annotated[Path | None, Option(help="Write the pairs of a single weighting, as reward would.")] = None,
    thin: Annotated[bool, Option(help="Thin the pairs that are written, as reward does.")] = True,
    seed: Annotated[int, Option(help="Of the thinning.")] = 0,
    out: Annotated[Path, Option(help="One line per weighting.")] = Path("data/eval/sweep.jsonl"),
    domain: Domain = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Price the same rollouts under many weightings: which pairs flip, and where the front lies. Calls no model."""
    from proact.stages import sweep as stage

    grid = {"alpha": alpha, "w_questions": w_questions, "w_reject": w_reject, "w_long": w_long}
    grid |= {"w_off_topic": w_off_topic, "w_task": w_task}
    settings = stage.Settings(
        trajectories=str(trajectories),
        rewards=str(rewards),
        out=str(out),
        spec=spec,
        grid={name: _weights(name, text) for name, text in grid.items() if text is not None},
        components=dict(_swept(text) for text in component or []),
        pairs=str(pairs) if pairs else None,
        thin=thin,
        seed=seed,
        domain=domain,
        plugins=[str(path) for path in plugin or []],
    )
    perform(stage, settings, None, json)


def _weights(name: str, text: str) -> list[float]:
    """The steps of a weight. Raises UsageError below 0, as reward does."""
    values = steps(name, text)
    if values[0] < 0:
        raise UsageError(f"--{name.replace('_', '-')} {text}: expected no weight below 0")
    return values


def _swept(text: str) -> tuple[str, list[float]]:
    """NAME=STEPS as a name and values."""
    name, _, values = text.partition("=")
    return name, steps(f"component {name}", values)


def explain(
    pair: Annotated[str, typer.Argument(metavar="PAIR_ID", help="Id of a pair, or of a group.")],
    pairs: Annotated[Path, Option(help="What reward wrote.")] = PAIRS,
    rewards: Annotated[Path, Option(help="What reward wrote.")] = REWARDS,
    trajectories: Annotated[Path, Option(help="What generate wrote.")] = TRAJECTORIES,
    domain: Domain = None,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Say in numbers why a pair prefers one action, or why a group gave no pair."""
    from proact.stages import explain as stage

    settings = stage.Settings(
        pair=pair,
        pairs=str(pairs),
        rewards=str(rewards),
        trajectories=str(trajectories),
        domain=domain,
        plugins=[str(path) for path in plugin or []],
    )
    perform(stage, settings, None, json)
