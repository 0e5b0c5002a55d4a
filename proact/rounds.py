"""What a round of a loop consists of: states are played, plays are priced, a policy is learned.

Each is a stage with its files, and what is there already is not done again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from proact import console, sidecar
from proact.errors import UsageError
from proact.executor import Task
from proact.keys import digest, digest64
from proact.llm import Options as ModelOptions
from proact.llm import Sampling
from proact.records import State
from proact.rewards.specs import Spec, spec_named
from proact.sandbox import Isolation
from proact.stage import INTERRUPTED
from proact.stages import generate, reward, train
from proact.training import soup
from proact.training.plan import Options

PLAYED = "played"
"""Of the meta file of plays: which they are."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `proact iterate` was told."""

    rounds: int
    out: str
    world: str | None
    dataset: str | None
    domain: str | None
    split: str
    later_split: str
    test_split: str
    n_states: int | None
    later_states: int | None
    n_test: int | None
    replicates: int
    test_replicates: int
    assistant: str
    user_model: str
    calls: ModelOptions
    max_turns: int
    spec: str
    alpha: float | None
    options: Options
    soup: int
    seed: int
    isolation: Isolation
    even_if_constant: bool
    persona: str = ""
    personas: str | None = None
    sampling: Sampling = Sampling()
    plugins: list[str] = []


class Purse:
    """What a run may still spend on calls, over all that it plays; without a budget whatever it takes."""

    def __init__(self, budget: float | None) -> None:
        self.left = budget

    def pay(self, cost: float | None) -> None:
        if self.left is not None:
            self.left = max(0.0, self.left - (cost or 0.0))


class Played(msgspec.Struct, frozen=True):
    """Which states were played, and how often; all of them when there is no count."""

    split: str
    skip: int
    count: int | None
    replicates: int

    def has_more(self, than: Played) -> bool:
        """Whether plays are here that the other one has not."""
        fewer = than.count is not None and (self.count is None or self.count > than.count)
        return (self.split, self.skip) != (than.split, than.skip) or fewer or self.replicates > than.replicates

    @property
    def told(self) -> str:
        count = "all" if self.count is None else self.count
        return f"split {self.split}: {count} after {self.skip}, {self.replicates} replicates"


def states(settings: Settings, split: str) -> list[State]:
    """All states of a split; of a world, which makes as many as one likes, those of one round through its starts."""
    told = _generate(settings, Path(), Played(split, 0, None, 1))
    return [placed.state for placed in generate.states(told, Task("generate", b"", settings.dataset))]


def refuse_more(out: Path, played: Played) -> None:
    """Raises UsageError for a file that holds other plays: they would be learned from, or measured, as if asked for."""
    before = sidecar.read_meta(out).get(PLAYED)
    if out.exists() and before and (other := msgspec.convert(before, Played)).has_more(played):
        raise UsageError(f"{out}: holds plays of other states than are asked for ({other.told}); choose another --out")


def play(settings: Settings, purse: Purse, out: Path, played: Played, **more: Any) -> int:
    """How many lines were missing. Raises UsageError as `refuse_more` does, BudgetReached for an empty purse."""
    refuse_more(out, played)
    sidecar.write_meta(out, {**sidecar.read_meta(out), PLAYED: msgspec.to_builtins(played)})
    calls = msgspec.structs.replace(settings.calls, budget=purse.left)
    report = _stage("generate", _generate(settings, out, played, options=calls, **more), settings.dataset)
    purse.pay(report["cost"])
    return int(report["missing"])


def _generate(settings: Settings, out: Path, played: Played, **more: Any) -> generate.Settings:
    return generate.Settings(
        out=str(out),
        model=settings.assistant,
        mode="synthetic" if settings.world else "dataset",
        world=settings.world,
        domain=settings.domain,
        split=played.split,
        n_states=played.count,
        skip=played.skip,
        replicates=played.replicates,
        user_model=settings.user_model,
        persona=settings.persona,
        personas=settings.personas,
        sampling=settings.sampling,
        seed=settings.seed,
        isolation=settings.isolation,
        plugins=settings.plugins,
        **more,
    )


def price(settings: Settings, played: Path, rewards: Path, pairs: Path) -> int:
    """How many lines were missing. Plays that were all priced before are not priced again."""
    told = reward.Settings(
        trajectories=str(played),
        rewards=str(rewards),
        out=str(pairs),
        spec=priced_by(settings),
        seed=settings.seed,
        isolation=settings.isolation,
        plugins=settings.plugins,
        # Training draws them by weight itself, which leaves more of them.
        thin=False,
    )
    with played.open("rb") as file:
        priced = digest(told, hashlib.file_digest(file, "blake2b").hexdigest())
    if sidecar.read_meta(pairs).get("priced") == priced and rewards.is_file() and pairs.is_file():
        return 0
    lost = int(_stage("reward", told, str(played))["missing"])
    if not lost:
        sidecar.write_meta(pairs, {**sidecar.read_meta(pairs), "priced": priced})
    return lost


def learn(settings: Settings, pairs: Path, output: Path, start: str | None) -> None:
    """A policy of the pairs, or the mean of several that read them in other orders."""
    one = settings.soup == 1
    learners = [output] if one else [output.with_name(f"learner-{n}") for n in range(1, settings.soup + 1)]
    for number, learner in enumerate(learners):
        order = digest64(f"{settings.seed} soup {number}") % 2**31 if number else settings.seed
        options = msgspec.structs.replace(settings.options, start=start, seed=order)
        told = train.Settings(
            data=str(pairs), output=str(learner), options=options, even_if_constant=settings.even_if_constant
        )
        report = _stage("train", told)
        name = f"{learner.parent.name}: {learner.name}"
        console.note(f"iterate: {name}: trained in {report['seconds']:.0f} s, {_figures(report['metrics'])}")
    if not one:
        soup.cook(learners, output)


def priced_by(settings: Settings) -> Spec:
    """Raises UsageError for prices under which the best policy of a world is not known."""
    spec = spec_named(settings.spec, {"alpha": settings.alpha})
    if settings.world and spec.formula != "linear":
        raise UsageError(f"--spec {spec.name}: the best policy of --world {settings.world} is known for linear prices")
    return spec


def _stage(name: str, told: Any, source: str | None = None) -> dict[str, Any]:
    perform = {"generate": generate, "reward": reward, "train": train}[name].perform
    report: dict[str, Any] = msgspec.json.decode(perform(Task(name, msgspec.json.encode(told), source)))
    if report["exit_code"] == INTERRUPTED:
        # What it has written so far is no whole stage: the next one would learn from a part of the states.
        raise KeyboardInterrupt
    if missing := report.get("missing"):
        console.note(f"iterate: {name}: {missing} missing, going on without them")
    return report


def _figures(metrics: dict[str, float | None]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in metrics.items() if value is not None)
