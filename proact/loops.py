"""What runs several stages: iterate, which learns a policy in rounds.

Each round plays states with every question open, in a world new ones each time, values both actions as the policy so
far would go on, trains a new policy on those pairs, and measures it on states held out. Every step is a stage with its
files in the folder of the round, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from proact import console, jsonl, sidecar
from proact.errors import UsageError
from proact.executor import Task
from proact.keys import digest, digest64
from proact.llm import Options as ModelOptions
from proact.records import Reward, Trajectory
from proact.rewards.specs import Spec, spec_named
from proact.rollout import Rules
from proact.sandbox import Isolation
from proact.stage import INTERRUPTED
from proact.stages import generate, reward, train
from proact.stats.intervals import t_interval
from proact.training import manifest, soup
from proact.training.plan import Options

CONSTANT = ("always-clarify", "always-execute")
CURVE = "curve.jsonl"
NO_PART = ("rounds", "test_split", "n_test", "test_replicates", "base_url", "isolation", "even_if_constant")
"""Settings that a policy does not depend on."""


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
    n_test: int | None
    replicates: int
    test_replicates: int
    assistant: str
    user_model: str
    base_url: str | None
    max_turns: int
    spec: str
    alpha: float | None
    options: Options
    soup: int
    seed: int
    isolation: Isolation
    even_if_constant: bool


def iterate(settings: Settings) -> dict[str, Any]:
    """Run all rounds; returns the summary that the command prints.

    Raises UsageError for a folder with rounds of other states or settings and for a mean of adapters, and whatever a
    stage raises.
    """
    folder = Path(settings.out)
    if settings.soup > 1 and settings.options.lora:
        raise UsageError(f"--soup {settings.soup}: adapters have no mean; train all weights (--full)")
    learned = sidecar.read_meta(folder / "round-1" / "policy").get("asked")
    if learned not in (None, _asked(settings, None)):
        raise UsageError(f"{folder}: holds rounds of other states or settings; choose another --out")
    fixed = [*CONSTANT, *([f"optimal:{_spec(settings).alpha:g}"] if settings.world else [])]
    curve = [_measured(settings, folder / "baselines", name, name) for name in fixed]
    policy: Path | None = None
    lost = 0
    for number in range(1, settings.rounds + 1):
        method = f"round-{number}"
        policy, missing = _round(settings, number, folder / method, policy)
        lost += missing
        curve.append(_measured(settings, policy.parent, f"trained:{policy}", method))
        with jsonl.replace(folder / CURVE) as file:
            file.writelines(msgspec.json.encode(point) + b"\n" for point in curve)
    whole = not lost and not any(point["missing"] for point in curve)
    return {
        "out": settings.out,
        "policy": str(policy),
        "missing_to_learn_from": lost,
        "curve": curve,
        "exit_code": 0 if whole else 3,
    }


def _round(settings: Settings, number: int, folder: Path, policy: Path | None) -> tuple[Path, int]:
    """One round: the folder of its policy, and how many lines were missing to learn from.

    In the first one a question is followed by an answer at once; later ones go on learning where the last one ended,
    from states of the later split.
    """
    played, rewards, pairs = (folder / f"{name}.jsonl" for name in ("trajectories", "rewards", "pairs"))
    output, asked = folder / "policy", _asked(settings, policy)
    if sidecar.read_meta(output).get("asked") == asked and (output / manifest.FILE).is_file():
        console.note(f"iterate: {folder.name}: finished before")
        return output, 0
    console.note(f"iterate: {folder.name}: playing, going on by {policy or 'an answer at once'}")
    lost = _play(
        settings,
        played,
        policy="always-clarify",
        split=settings.later_split if policy else settings.split,
        count=settings.n_states,
        # A world has as many states as one likes.
        skip=(number - 1) * (settings.n_states or 0) if settings.world else 0,
        replicates=settings.replicates,
        branches=1,
        branch_turns=True,
        rules=Rules(
            multi_turn=True,
            max_turns=settings.max_turns,
            continuation="policy" if policy else "execute",
        ),
        continue_by=f"trained:{policy}" if policy else None,
        method="always-clarify",
    )
    lost += _price(settings, played, rewards, pairs)
    _learn(settings, pairs, output, str(policy) if policy else None)
    if not lost:
        sidecar.write_meta(output, {"asked": asked})
    return output, lost


def _learn(settings: Settings, pairs: Path, output: Path, start: str | None) -> None:
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


def _asked(settings: Settings, policy: Path | None) -> str:
    """All that decides what a round learns. It stands beside the policy of a finished round without a missing line."""
    told = {name: value for name, value in msgspec.to_builtins(settings).items() if name not in NO_PART}
    states = Path(settings.dataset).read_bytes() if settings.dataset else b""
    return digest(told, states, manifest.read(policy).weights if policy else "")


def _measured(settings: Settings, folder: Path, policy: str, method: str) -> dict[str, Any]:
    """Mean reward of a policy on the states held out, over tasks."""
    played, rewards, pairs = (folder / f"{method}-test{kind}.jsonl" for kind in ("", "-rewards", "-pairs"))
    lost = _play(
        settings,
        played,
        policy=policy,
        split=settings.test_split,
        count=settings.n_test,
        replicates=settings.test_replicates,
        branches=0,
        rules=Rules(multi_turn=True, max_turns=settings.max_turns),
        method=method,
    )
    lost += _price(settings, played, rewards, pairs)
    totals = {row.id: row.total for row in jsonl.read(rewards, Reward) if row.total is not None}
    asked: list[bool] = []
    tasks: dict[str, list[float]] = {}
    for line in jsonl.read(played, Trajectory):
        if line.decision_point == 0:
            asked.append(line.action == "Clarify")
            if line.id in totals:
                tasks.setdefault(line.state.id, []).append(totals[line.id])
    means = [fmean(values) for values in tasks.values()]
    if not means:
        raise UsageError(f"{played}: no state of the split {settings.test_split} has a reward to measure")
    spread = t_interval(means)
    return {
        "method": method,
        "reward": spread.mean,
        "low": spread.low,
        "high": spread.high,
        "ask_rate": fmean(asked),
        "tasks": len(means),
        "missing": lost,
    }


def _play(settings: Settings, out: Path, *, split: str, count: int | None, **more: Any) -> int:
    told = generate.Settings(
        out=str(out),
        model=settings.assistant,
        mode="synthetic" if settings.world else "dataset",
        world=settings.world,
        domain=settings.domain,
        split=split,
        n_states=count,
        user_model=settings.user_model,
        options=ModelOptions(base_url=settings.base_url),
        seed=settings.seed,
        isolation=settings.isolation,
        **more,
    )
    return int(_stage("generate", told, settings.dataset)["missing"])


def _price(settings: Settings, played: Path, rewards: Path, pairs: Path) -> int:
    """How many lines were missing. Plays that were all priced before are not priced again."""
    told = reward.Settings(
        trajectories=str(played),
        rewards=str(rewards),
        out=str(pairs),
        spec=_spec(settings),
        seed=settings.seed,
        isolation=settings.isolation,
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


def _spec(settings: Settings) -> Spec:
    return spec_named(settings.spec, {"alpha": settings.alpha})


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


def show(report: dict[str, Any]) -> None:
    columns = ["method", "reward", "low", "high", "ask_rate", "tasks", "missing"]
    rows = [[point[name] for name in columns] for point in report["curve"]]
    heads = ["asks first" if name == "ask_rate" else name for name in columns]
    console.table(f"iterate: {report['out']}, on the states held out", heads, rows)
