"""The subcommands that put numbers on what was played: judge, reward, diagnose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from proact import console
from proact.cli.command import finish, perform
from proact.cli.options import (
    PAIRS,
    REWARDS,
    TRAJECTORIES,
    VERDICTS,
    BaseUrl,
    Domain,
    Isolation,
    Json,
    Plugins,
    Timeout,
    choices,
    named_judges,
    prices,
    rubric_text,
    unfit,
    weights,
)


def judge(
    judges: Annotated[list[str] | None, typer.Argument(metavar="JUDGE...", help="One or more of --list.")] = None,
    listing: Annotated[bool, Option("--list", help="Name the judges and end.")] = False,
    source: Annotated[Path, Option("--in", help="Trajectories, or conversations.")] = TRAJECTORIES,
    out: Annotated[Path, Option(help="Verdicts; those already in it are skipped.")] = VERDICTS,
    lines: Annotated[
        Literal["mainline", "all"], Option(help="One line per conversation, or every branch, as reward needs.")
    ] = "mainline",
    profiles: Annotated[Path | None, Option(help="Preferences of each user, by profile_id.")] = None,
    problems: Annotated[Path | None, Option(help="Problem, solution and domain, by problem_id.")] = None,
    join: Annotated[
        Literal["id", "position"], Option(help="How profiles and problems are found; position where nothing has ids.")
    ] = "id",
    domain: Annotated[str | None, Option(help="Domain of trajectories that name none.")] = None,
    model: Annotated[
        str | None, Option("--model", "--llm-model", help="Whom judges ask. [default: gpt-5-nano for feedback alone]")
    ] = None,
    base_url: BaseUrl = None,
    temperature: Annotated[float, Option(min=0, help="Where the model allows one.")] = 0.0,
    max_completion_tokens: Annotated[int, Option(min=1, help="Of one reply.")] = 2048,
    timeout: Timeout = 60.0,
    max_attempts: Annotated[int, Option(min=1, help="Requests for one reply.")] = 3,
    concurrency: Annotated[int, Option(min=1, help="Requests in flight.")] = 32,
    price: Annotated[str | None, Option(help="Dollars per million tokens: PROMPT/COMPLETION.")] = None,
    budget: Annotated[float | None, Option(min=0, help="Stop when a run has cost this many dollars.")] = None,
    repeats: Annotated[int, Option(min=1, help="Passes; several give a mean and a spread.")] = 1,
    rubric: Annotated[Path | None, Option(help="A text in place of ruler's own rubric.")] = None,
    tokenizer: Annotated[Path | None, Option(help="A tokenizer.json with which effort counts tokens.")] = None,
    sandbox: Annotated[bool, Option(help="Run code that has tests; else ask the model about it.")] = True,
    isolation: Isolation = "auto",
    debug: Annotated[bool, Option("--debug", help="Print each finding and its reasons.")] = False,
    seed: Annotated[int, Option(help="Of the order in which ruler shows trajectories, and of the model.")] = 0,
    plugin: Plugins = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace verdicts on input that has changed.")] = False,
    max_failures: Annotated[int | None, Option(min=0, help="Stop after more failed jobs than this.")] = None,
    json: Json = False,
) -> None:
    """Judge conversations: feedback, correctness, compliance, conflict, effort, ruler, or a judge of a plugin."""
    from proact.judges import JUDGES, Setup
    from proact.llm import Options, Sampling
    from proact.stages import judge as stage

    plugins = [str(path) for path in plugin or []]
    if listing:
        with console.aside():
            report = stage.listing(plugins)
        finish(report, stage.show_listing, json)
    judges = named_judges(judges)
    # A judge of a plugin may read both.
    shipped = {*JUDGES} >= {*judges}
    unfit(shipped and "ruler" not in judges, "judges without ruler", rubric=rubric)
    unfit(shipped and "effort" not in judges, "judges without effort", tokenizer=tokenizer)
    settings = stage.Settings(
        judges=judges,
        out=str(out),
        model=model,
        lines=lines,
        profiles=str(profiles) if profiles else None,
        problems=str(problems) if problems else None,
        join=join,
        domain=domain,
        setup=Setup(rubric=rubric_text(rubric), tokenizer=str(tokenizer) if tokenizer else None, sandbox=sandbox),
        repeats=repeats,
        sampling=Sampling(temperature=temperature, max_completion_tokens=max_completion_tokens),
        options=Options(
            base_url=base_url,
            timeout=timeout,
            concurrency=concurrency,
            attempts=max_attempts,
            price=prices(price, budget),
            budget=budget,
        ),
        seed=seed,
        isolation=isolation,
        debug=debug,
        overwrite=overwrite,
        max_failures=max_failures,
        plugins=plugins,
    )
    perform(stage, settings, str(source), json)


def reward(
    trajectories: Annotated[Path, Option(help="What generate wrote.")] = TRAJECTORIES,
    rewards: Annotated[Path, Option(help="Rewards, with every component.")] = REWARDS,
    out: Annotated[Path, Option(help="Preference pairs.")] = PAIRS,
    spec: Annotated[str, Option(help="default, strict or per-turn.")] = "default",
    alpha: Annotated[float | None, Option(min=0, help="Weight of the whole cost.")] = None,
    w_questions: Annotated[float | None, Option(min=0, help="Cost of a question.")] = None,
    w_reject: Annotated[float | None, Option(min=0, help="Cost of a refusal.")] = None,
    w_long: Annotated[float | None, Option(min=0, help="Cost of a long turn.")] = None,
    w_off_topic: Annotated[float | None, Option(min=0, help="Cost of an off-topic question.")] = None,
    long_words: Annotated[int | None, Option(min=0, help="Words of prose above which a turn is long.")] = None,
    w_task: Annotated[float | None, Option(min=0, help="Weight of the task score.")] = None,
    component: Annotated[list[str] | None, Option(help="NAME=WEIGHT of a judge or a plugin; may be repeated.")] = None,
    task_score: Annotated[str, Option(help="fraction or all of the tests, or a judge of --verdicts.")] = "fraction",
    verdicts: Annotated[Path | None, Option(help="What judge wrote.")] = None,
    verdict_spec: Annotated[
        list[str] | None, Option(help="JUDGE=SPEC, where the verdicts of a judge are of several specs.")
    ] = None,
    tau: Annotated[
        float | None, Option(min=0, max=1, help="Feedback below this confidence counts for nothing.")
    ] = None,
    pairs: Annotated[
        Literal["weighted", "best-worst"], Option(help="Arm means, or the best against the worst line.")
    ] = "weighted",
    thin: Annotated[bool, Option(help="Keep pairs in proportion to their margin; else keep all, weighted.")] = True,
    domain: Domain = None,
    seed: Annotated[int, Option(help="Of the thinning.")] = 0,
    isolation: Isolation = "auto",
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Score and price trajectories, and build preference pairs. Calls no model."""
    from proact.rewards.specs import spec_named
    from proact.stages import reward as stage

    values = {
        "alpha": alpha,
        "w_questions": w_questions,
        "w_reject": w_reject,
        "w_long": w_long,
        "w_off_topic": w_off_topic,
        "long_words": long_words,
        "w_task": w_task,
        "task_score": task_score,
        "components": weights(component) or None,
        "tau": tau,
    }
    settings = stage.Settings(
        trajectories=str(trajectories),
        rewards=str(rewards),
        out=str(out),
        spec=spec_named(spec, values),
        domain=domain,
        verdicts=str(verdicts) if verdicts else None,
        verdict_specs=choices(verdict_spec),
        pairs=pairs,
        thin=thin,
        seed=seed,
        isolation=isolation,
        plugins=[str(path) for path in plugin or []],
    )
    perform(stage, settings, str(trajectories), json)


def diagnose(
    trajectories: Annotated[Path, typer.Argument(help="What generate wrote, best with --arms all --replicates 2.")],
    rewards: Annotated[Path | None, Option(help="What reward wrote; without it the answers are scored here.")] = None,
    spec: Annotated[str | None, Option(help="default, strict or per-turn. [default: that of the rewards]")] = None,
    alpha: Annotated[float | None, Option(min=0, help="Weight of the whole cost.")] = None,
    w_questions: Annotated[float | None, Option(min=0, help="Cost of a question.")] = None,
    w_reject: Annotated[float | None, Option(min=0, help="Cost of a refusal.")] = None,
    domain: Domain = None,
    isolation: Isolation = "auto",
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Say what a question was worth, whether the best policy is constant, and whether the simulated user plays fair."""
    from proact.stages import diagnose as stage

    given = {"alpha": alpha, "w_questions": w_questions, "w_reject": w_reject}
    settings = stage.Settings(
        trajectories=str(trajectories),
        rewards=str(rewards) if rewards else None,
        spec=spec,
        weights={name: weight for name, weight in given.items() if weight is not None},
        domain=domain,
        isolation=isolation,
        plugins=[str(path) for path in plugin or []],
    )
    perform(stage, settings, str(trajectories), json)
