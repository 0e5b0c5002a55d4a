"""The subcommand that learns a policy in rounds: iterate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from proact import console
from proact.cli.command import finish, written
from proact.cli.learn import MOST, Base, Batch, Beta, Depth, Epochs, Layers, Lora, Loss, Rank, Rate
from proact.cli.options import SEEDS, BaseUrl, Isolation, Json, Plugins, Timeout, named_model, prices, unfit


def iterate(
    rounds: Annotated[int, Option(min=1, help="How often to generate, reward and train.")] = 3,
    out: Annotated[Path, Option(help="Folder of all rounds; finished steps in it are skipped.")] = Path(
        "outputs/rounds"
    ),
    world: Annotated[str | None, Option(help="Play this synthetic world, as keyring, instead of a data set.")] = None,
    dataset: Annotated[Path | None, Option(help="States as JSONL. [default: the shipped ones]")] = None,
    domain: Annotated[str | None, Option(help="Only this domain.")] = None,
    split: Annotated[str, Option(help="Learn from states of this split.")] = "train",
    later_split: Annotated[
        str | None,
        Option(help="Learn from these in all rounds but the first. [default: a world's further ones, or --split]"),
    ] = None,
    test_split: Annotated[str, Option(help="Measure each round on states of this split.")] = "test",
    n_states: Annotated[int | None, Option(min=1, help="States to learn from. [default: all]")] = None,
    later_states: Annotated[
        int | None, Option(min=1, help="States of all rounds but the first. [default: as many as in that]")
    ] = None,
    n_test: Annotated[int | None, Option(min=1, help="States to measure on. [default: all]")] = None,
    replicates: Annotated[int, Option(min=1, help="How often each state is played.")] = 8,
    test_replicates: Annotated[int, Option(min=1, help="How often each state is played to measure.")] = 8,
    assistant: Annotated[str | None, Option(help="The model that asks and answers. [default: the world's]")] = None,
    user_model: Annotated[str | None, Option(help="Who plays the user. [default: the world's, or rule]")] = None,
    base_url: BaseUrl = None,
    temperature: Annotated[float | None, Option(min=0, help="Of both. [default: the models' own]")] = None,
    max_completion_tokens: Annotated[int, Option(min=1, help="Of one reply.")] = 2048,
    timeout: Timeout = 60.0,
    concurrency: Annotated[int, Option(min=1, help="Requests in flight.")] = 32,
    price: Annotated[str | None, Option(help="Dollars per million tokens: PROMPT/COMPLETION.")] = None,
    budget: Annotated[float | None, Option(min=0, help="Stop when a run has cost this many dollars.")] = None,
    persona: Annotated[str | None, Option(help="NAME[,NAME], all, or balanced. [default: as in generate]")] = None,
    personas: Annotated[Path | None, Option(help="Your own, as JSONL, in place of data/personas.jsonl.")] = None,
    max_turns: Annotated[int, Option(min=2, help="Assistant turns of a conversation.")] = 5,
    spec: Annotated[str, Option(help="Reward spec.")] = "default",
    alpha: Annotated[float | None, Option(min=0, help="Weight of the whole cost.")] = None,
    model: Base = "local:smollm2",
    epochs: Epochs = 3.0,
    lr: Rate = None,
    beta: Beta = 0.1,
    lora: Lora = True,
    lora_r: Rank = None,
    depth: Depth = None,
    layers: Layers = None,
    batch_size: Batch = None,
    loss: Loss = "sigmoid",
    soup: Annotated[
        int,
        Option(
            min=1, help="Train so many times on the pairs of a round, in other orders; the mean goes on. With --full."
        ),
    ] = 1,
    seed: Annotated[int, Option(min=0, max=MOST, help="Of everything that is drawn.")] = 0,
    isolation: Isolation = "auto",
    even_if_constant: Annotated[bool, Option("--even-if-constant", help="Train constant policies too.")] = False,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Learn a policy in rounds: play under the policy so far, reward, train, and measure on states held out."""
    from proact import loops
    from proact.llm import Options as ModelOptions
    from proact.llm import Sampling
    from proact.prompts import shipped
    from proact.rounds import Settings
    from proact.training.plan import Options
    from proact.worlds import FURTHER

    unfit(bool(world), "--world", dataset=dataset)
    unfit(rounds == 1, "--rounds 1", later_split=later_split, later_states=later_states)
    settings = Settings(
        rounds=rounds,
        out=str(out),
        world=world,
        dataset=None if world else str(dataset or shipped(SEEDS)),
        domain=domain,
        split=split,
        later_split=later_split or (FURTHER if world else split),
        test_split=test_split,
        n_states=n_states,
        later_states=later_states or n_states,
        n_test=n_test,
        replicates=replicates,
        test_replicates=test_replicates,
        assistant=named_model(assistant, "dataset", world),
        user_model=user_model or "",
        calls=ModelOptions(
            base_url=base_url,
            timeout=timeout,
            concurrency=concurrency,
            price=prices(price, budget),
            budget=budget,
        ),
        sampling=Sampling(temperature=temperature, max_completion_tokens=max_completion_tokens),
        persona=persona or "",
        personas=str(personas) if personas else None,
        plugins=[str(path) for path in plugin or []],
        max_turns=max_turns,
        spec=spec,
        alpha=alpha,
        options=Options(
            model=model,
            epochs=epochs,
            lr=lr,
            beta=beta,
            lora=lora,
            lora_r=lora_r,
            depth=depth,
            layers=layers,
            batch_size=batch_size,
            loss=loss,
            seed=seed,
            # The other split is what is held out here.
            eval_fraction=0.0,
        ),
        soup=soup,
        seed=seed,
        isolation=isolation,
        even_if_constant=even_if_constant,
    )
    written(settings)
    with console.aside():
        report = loops.iterate(settings)
    finish(report, loops.show, json)
