"""The command line: one function per subcommand, and the only error handler."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from proact import __version__, cli_eval, console
from proact.command import finish as _finish
from proact.command import perform as _perform
from proact.errors import ProactError
from proact.options import (
    PAIRS,
    REWARDS,
    SEEDS,
    TRAJECTORIES,
    VERDICTS,
    BaseUrl,
    Isolation,
    Json,
    Plugins,
    Timeout,
    choices,
    named_judges,
    named_model,
    prices,
    rubric_text,
    same,
    unfit,
    weights,
)

app = typer.Typer(
    help="Know what a question is worth: simulate, score, pair, train and compare when to ask and when to act.",
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-"), "max_content_width": 100},
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="The embedded language model.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(models_app, name="models")


def main() -> None:
    """Run the command line; everything that proact raises on purpose becomes one line and an exit code."""
    try:
        app()
    except ProactError as error:
        _end(f"proact: {error}", error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        from proact.registry import plugin_frame

        place = plugin_frame(error)
        if place is None:
            raise
        _end(f"proact: {place[0]}:{place[1]}: the plugin failed: {type(error).__name__}: {error}", 2)


def _end(message: str, code: int) -> None:
    console.note(message)
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"proact {__version__}")
        raise typer.Exit


@app.callback()
def proact(
    version: Annotated[bool, Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


@app.command()
def generate(
    mode: Annotated[Literal["synthetic", "dataset"], Option(help="Make states, or read them.")] = "dataset",
    world: Annotated[str | None, Option(help="With synthetic: keyring, whose best policy is known.")] = None,
    dataset: Annotated[
        Path | None, Option("--dataset", "--dataset-path", help=f"States as JSONL. [default: {SEEDS}]")
    ] = None,
    domain: Annotated[str | None, Option(help="Only this domain; names it where the file does not.")] = None,
    split: Annotated[str | None, Option(help="Only states of this split.")] = None,
    n_states: Annotated[int | None, Option(min=1, help="How many states. [default: all; synthetic: 50]")] = None,
    repeat: Annotated[bool, Option(help="Play states again, as replicates, when there are too few.")] = False,
    out: Annotated[Path, Option(help="Trajectories; finished jobs in it are skipped.")] = TRAJECTORIES,
    model: Annotated[
        str | None, Option("--model", "--llm-model", help="openai:NAME, local:smollm2, local:FILE.gguf, synthetic:")
    ] = None,
    base_url: BaseUrl = None,
    temperature: Annotated[float, Option(min=0, help="Of the assistant and the simulated user.")] = 0.3,
    max_completion_tokens: Annotated[int, Option(min=1, help="Of one reply.")] = 2048,
    timeout: Timeout = 60.0,
    max_attempts: Annotated[int, Option(min=1, help="Requests for one reply.")] = 3,
    concurrency: Annotated[int, Option(min=1, help="Requests in flight.")] = 32,
    price: Annotated[str | None, Option(help="Dollars per million tokens: PROMPT/COMPLETION.")] = None,
    budget: Annotated[float | None, Option(min=0, help="Stop when a run has cost this many dollars.")] = None,
    policy: Annotated[
        str | None,
        Option(help="documented, calibrated, always-clarify, always-execute, prompted[:MODEL]. [default: documented]"),
    ] = None,
    mainline_rule: Annotated[str | None, Option(help="Another name for --policy.")] = None,
    mainline_action: Annotated[
        Literal["Clarify", "Execute"] | None, Option(help="Take this action first instead of asking the policy.")
    ] = None,
    clarify_threshold: Annotated[float, Option(min=0, max=1, help="Ask from this probability on.")] = 0.5,
    method: Annotated[str | None, Option(help="Name in comparisons. [default: the policy]")] = None,
    branches: Annotated[int, Option(min=0, max=2, help="1: the other action; 2: a variant of the mainline too.")] = 2,
    arms: Annotated[
        Literal["documented", "all"], Option(help="all: a placebo question and an oracle (all facts given) too.")
    ] = "documented",
    replicates: Annotated[int, Option(min=1, help="How often each state is played.")] = 1,
    rollout: Annotated[bool, Option(help="Go on to a final answer after a question.")] = True,
    continuation: Annotated[
        Literal["execute", "policy"], Option(help="After a question: answer at once, or go on by the policy.")
    ] = "execute",
    continue_by: Annotated[str | None, Option(help="The policy of --continuation policy. [default: --policy]")] = None,
    multi_turn: Annotated[bool, Option("--multi-turn", help="Whole conversations, one line per turn.")] = False,
    max_turns: Annotated[int, Option(min=1, help="Assistant turns of a conversation; the last is an answer.")] = 5,
    branch_turns: Annotated[bool, Option("--branch-turns", help="Branch at every turn of a conversation.")] = False,
    persona: Annotated[str | None, Option(help="NAME[,NAME], all, or balanced (one each). [default: balanced]")] = None,
    personas: Annotated[Path | None, Option(help="Your own, as JSONL, in place of data/personas.jsonl.")] = None,
    user_model: Annotated[str | None, Option(help="rule, or a model that plays the user. [default: rule]")] = None,
    seed: Annotated[int, Option(help="Of everything that is drawn.")] = 0,
    isolation: Isolation = "auto",
    plugin: Plugins = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace lines made with other settings.")] = False,
    max_failures: Annotated[int | None, Option(min=0, help="Stop after more failed jobs than this.")] = None,
    json: Json = False,
) -> None:
    """Play states: an assistant and a simulated user, branching Clarify against Execute."""
    from proact.llm import Options, Sampling
    from proact.prompts import shipped
    from proact.rollout import Rules
    from proact.stages import generate as stage

    unfit(mode == "synthetic", "--mode synthetic", dataset=dataset, repeat=repeat, split=split and not world)
    unfit(mode == "dataset", "--mode dataset", world=world)
    unfit(multi_turn, "--multi-turn", no_rollout=not rollout)
    unfit(not multi_turn, "a single decision (no --multi-turn)", branch_turns=branch_turns)
    source = None if mode == "synthetic" else str(dataset or shipped(SEEDS))
    settings = stage.Settings(
        out=str(out),
        mode=mode,
        world=world,
        model=named_model(model, mode, world),
        domain=domain,
        split=split,
        n_states=n_states,
        repeat=repeat,
        persona=persona or "",
        personas=str(personas) if personas else None,
        user_model=user_model or "",
        policy=same(policy, mainline_rule) or "documented",
        continue_by=continue_by,
        method=method or "",
        mainline_action=mainline_action,
        branches=branches,
        arms=arms,
        replicates=replicates,
        branch_turns=branch_turns,
        rules=Rules(
            multi_turn=multi_turn,
            max_turns=max_turns,
            rollout=rollout,
            continuation=continuation,
            clarify_threshold=clarify_threshold,
        ),
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
        overwrite=overwrite,
        max_failures=max_failures,
        plugins=[str(path) for path in plugin or []],
    )
    _perform(stage, settings, source, json)


@app.command()
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
    budget: Annotated[float | None, Option(help="Stop when a run has cost this many dollars.")] = None,
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
    from proact.judges import Setup
    from proact.llm import Options, Sampling
    from proact.stages import judge as stage

    plugins = [str(path) for path in plugin or []]
    if listing:
        _finish(stage.listing(plugins), stage.show_listing, json)
    settings = stage.Settings(
        judges=named_judges(judges),
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
    _perform(stage, settings, str(source), json)


@app.command()
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
    long_words: Annotated[int | None, Option(min=0, help="Words of prose from which a turn is long.")] = None,
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
    domain: Annotated[str | None, Option(help="Domain of lines that name none.")] = None,
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
    _perform(stage, settings, str(trajectories), json)


@app.command()
def diagnose(
    trajectories: Annotated[Path, typer.Argument(help="What generate wrote, best with --arms all --replicates 2.")],
    rewards: Annotated[Path | None, Option(help="What reward wrote; without it the answers are scored here.")] = None,
    spec: Annotated[str | None, Option(help="default, strict or per-turn. [default: that of the rewards]")] = None,
    alpha: Annotated[float | None, Option(help="Weight of the whole cost.")] = None,
    w_questions: Annotated[float | None, Option(help="Cost of a question.")] = None,
    w_reject: Annotated[float | None, Option(help="Cost of a refusal.")] = None,
    domain: Annotated[str | None, Option(help="Domain of lines that name none.")] = None,
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
    _perform(stage, settings, str(trajectories), json)


@app.command()
def convert(
    form: Annotated[str, typer.Argument(metavar="DATASET", help="mbpp, humanevalcomm, clariq or in3")],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The file as published.")],
    out: Annotated[Path | None, Option(help="States. [default: data/seeds/DATASET_states.jsonl]")] = None,
    json: Json = False,
) -> None:
    """Make states of a public data set."""
    from proact.stages import convert as stage

    _finish(stage.convert(form, source, out or Path(f"data/seeds/{form}_states.jsonl")), stage.show, json)


@app.command()
def world(
    name: Annotated[str, typer.Argument(metavar="WORLD", help="keyring")],
    alpha: Annotated[float, Option(help="Weight of the whole cost.")] = 0.2,
    plot: Annotated[Path | None, Option(help="Draw the ask rates over alpha as PNG, PDF or SVG.")] = None,
    json: Json = False,
) -> None:
    """Print the exact values of a synthetic world: the best policy, the constant ones, and what training finds."""
    from proact.stages import world as stage

    report = stage.world(name, alpha)
    if plot:
        stage.plot(name, plot)
    _finish(report, stage.show, json)


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="A JSONL file of any kind.")],
    kind: Annotated[str | None, Option(help="state, persona, trajectory, conversation, verdict, ...")] = None,
    json: Json = False,
) -> None:
    """Name every line of a file that is not what it must be."""
    from proact.stages import validate as stage

    _finish(stage.validate(file, kind), stage.show, json)


@app.command()
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

    _finish(stage.doctor(model, Options(base_url=base_url, timeout=timeout), call=call), stage.show, json)


@app.command()
def audit(
    what: Annotated[str, typer.Argument(metavar="sandbox", help="What to audit.")] = "sandbox",
    isolation: Isolation = "auto",
    json: Json = False,
) -> None:
    """Run the exploits that ship with proact against this machine's sandbox."""
    from proact.stages import audit as stage

    _finish(stage.audit(what, isolation), stage.show, json)


@models_app.command()
def fetch() -> None:
    """Bring the weights of local:smollm2 into the cache, once."""
    from proact.llm import weights

    console.note(f"local:smollm2 is at {weights.fetch()}")


cli_eval.add(app)
