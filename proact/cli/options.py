"""Flags that several subcommands share, and how their values are read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from proact.errors import InputError, UsageError

SEEDS = "data/seeds/tasks.jsonl"
TRAJECTORIES = Path("data/logs/trajectories.jsonl")
REWARDS = Path("data/logs/rewards.jsonl")
VERDICTS = Path("data/logs/verdicts.jsonl")
PAIRS = Path("data/dpo/pairs.jsonl")

Json = Annotated[bool, Option("--json", help="Print the summary as JSON on stdout.")]
Plugins = Annotated[list[Path] | None, Option("--plugin", help="A Python file that adds things; may be repeated.")]
Domain = Annotated[str | None, Option(help="Domain of lines that name none.")]
Isolation = Annotated[Literal["auto", "jail", "rlimits"], Option(help="How candidate programs are confined.")]
BaseUrl = Annotated[str | None, Option(help="An OpenAI-compatible server; needs no key.")]
Timeout = Annotated[float, Option(min=0.1, help="Seconds for one attempt.")]


def named_model(model: str | None, mode: str, world: str | None = None) -> str:
    """The model to use; a world brings its own.

    Raises UsageError, which names the choices, when a data set is played without one.
    """
    if model:
        return model if ":" in model else f"openai:{model}"
    if world:
        return f"{world}:"
    if mode == "synthetic":
        return "synthetic:"
    raise UsageError(
        "--mode dataset needs a --model: openai:NAME, local:smollm2, local:FILE.gguf, hf:NAME, synthetic: (a stand-in)"
    )


def named_judges(judges: list[str] | None) -> list[str]:
    """The judges asked for. Raises UsageError without any."""
    if not judges:
        raise UsageError("name at least one judge; `proact judge --list` shows them")
    return judges


def rubric_text(file: Path | None) -> str | None:
    """The text of a rubric. Raises InputError when it cannot be read or is empty."""
    if file is None:
        return None
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(file, str(error)) from None
    if not text:
        raise InputError(file, "the rubric is empty")
    return text


def same(policy: str | None, rule: str | None) -> str | None:
    """The policy under either of its two flags. Raises UsageError when they differ."""
    if policy and rule and policy != rule:
        raise UsageError(f"--policy {policy} and --mainline-rule {rule} contradict each other")
    return policy or rule


def unfit(applies: bool, situation: str, **flags: object) -> None:
    """Raises UsageError for the first flag that was given where it would change nothing."""
    for name, value in flags.items():
        if applies and value:
            raise UsageError(f"--{name.replace('_', '-')} does not go with {situation}")


def prices(price: str | None, budget: float | None) -> tuple[float, float] | None:
    """PROMPT/COMPLETION in dollars. Raises UsageError for a budget without a price, which could not be kept."""
    if price is None:
        if budget is not None:
            raise UsageError("--budget needs --price PROMPT/COMPLETION: an unknown price is not zero")
        return None
    try:
        prompt, completion = map(_finite, price.split("/"))
        if prompt < 0 or completion < 0:
            raise ValueError
    except ValueError:
        raise UsageError(f"--price {price}: expected two numbers as PROMPT/COMPLETION") from None
    return prompt, completion


def choices(items: list[str] | None) -> dict[str, str]:
    """JUDGE=SPEC, each. Raises UsageError for anything else."""
    found = {}
    for item in items or []:
        name, equals, spec = item.partition("=")
        if not (name and equals and spec):
            raise UsageError(f"--verdict-spec {item}: expected JUDGE=SPEC")
        found[name] = spec
    return found


def weights(components: list[str] | None) -> dict[str, float]:
    """NAME=WEIGHT, each. Raises UsageError for anything else."""
    found = {}
    for item in components or []:
        name, _, weight = item.partition("=")
        try:
            found[name] = _finite(weight)
        except ValueError:
            raise UsageError(f"--component {item}: expected NAME=WEIGHT") from None
    return found


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError
    return number


def named_files(methods: list[str] | None) -> list[tuple[str, str]]:
    """NAME=FILE, each, as (file, name). Raises UsageError for anything else."""
    found = []
    for item in methods or []:
        name, sign, file = item.partition("=")
        if not (name and sign and file):
            raise UsageError(f"--method {item}: expected NAME=FILE")
        found.append((file, name))
    return found


def steps(name: str, text: str) -> list[float]:
    """A value, or FROM:TO:STEP with both ends. Raises UsageError for anything else."""
    try:
        numbers = [_finite(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        return numbers
    if len(numbers) != 3 or numbers[2] <= 0 or numbers[1] < numbers[0]:
        raise UsageError(f"--{name.replace('_', '-')} {text}: expected a number or FROM:TO:STEP")
    first, last, step = numbers
    return [round(first + index * step, 9) for index in range(int((last - first) / step + 1e-9) + 1)]
