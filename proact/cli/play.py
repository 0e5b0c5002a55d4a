"""The subcommand that plays states: generate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from proact.cli.command import perform
from proact.cli.options import (
    SEEDS,
    TRAJECTORIES,
    BaseUrl,
    Isolation,
    Json,
    Plugins,
    Timeout,
    named_model,
    prices,
    same,
    unfit,
)


def generate(
    mode: Annotated[Literal["synthetic", "dataset"], Option(help="Make states, or read them.")] = "dataset",
    world: Annotated[str | None, Option(help="With synthetic: keyring, whose best policy is known.")] = None,
    dataset: Annotated[
        Path | None, Option("--dataset", "--dataset-path", help=f"States as JSONL. [default: {SEEDS}]")
    ] = None,
    domain: Annotated[str | None, Option(help="Only this domain; names it where the file does not.")] = None,
    split: Annotated[str | None, Option(help="Only states of this split.")] = None,
    n_states: Annotated[
        int | None, Option(min=1, help="How many states. [default: all; synthetic without --world: 50]")
    ] = None,
    skip: Annotated[int, Option(min=0, help="Pass over so many states first.")] = 0,
    repeat: Annotated[bool, Option(help="Play states again, as replicates, when there are too few.")] = False,
    out: Annotated[Path, Option(help="Trajectories; finished jobs in it are skipped.")] = TRAJECTORIES,
    model: Annotated[
        str | None,
        Option("--model", "--llm-model", help="openai:NAME, local:smollm2, local:FILE.gguf, hf:NAME, synthetic:"),
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
        Option(
            help="documented, calibrated, always-clarify, always-execute, prompted[:MODEL], trained:FOLDER; in a world "
            "also optimal:ALPHA. [default: documented]"
        ),
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
    unfit(not rollout, "--no-rollout", continuation=continuation == "policy", continue_by=continue_by)
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
        skip=skip,
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
    perform(stage, settings, source, json)
