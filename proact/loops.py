"""What runs several stages: iterate, which learns a policy in rounds.

Each round plays states with every question open, in a world new ones each time, values both actions as the policy so
far would go on, trains a new policy on those pairs, and measures it on states held out. Every step is a stage with its
files in the folder of the round, so a run that was killed goes on where it was.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from proact import console, jsonl, sidecar
from proact.errors import UsageError
from proact.keys import digest
from proact.llm import Sampling
from proact.records import Reward, Trajectory
from proact.registry import load_plugin
from proact.rollout import Rules
from proact.rounds import Played, Purse, Settings, learn, play, price, priced_by, refuse_more, states
from proact.stats.intervals import t_interval
from proact.training import examples, manifest
from proact.training.plan import foresee

CONSTANT = ("always-clarify", "always-execute")
CURVE = "curve.jsonl"
FINISHED = "finished"
"""Of the meta file of a round: what it was asked for."""
NO_PART = ("rounds", "test_split", "n_test", "test_replicates", "calls", "isolation", "even_if_constant")
"""Settings that a policy does not depend on."""
WHERE_GIVEN: dict[str, Any] = {"persona": "", "personas": None, "sampling": Sampling(), "plugins": []}
"""Settings that a policy depends on where they are others than these."""
LATER = ("later_split", "later_states")
"""Settings that the first round does not depend on."""


def iterate(settings: Settings) -> dict[str, Any]:
    """Run all rounds; returns the summary that the command prints.

    Raises UsageError for a folder with rounds of other states or settings, for a mean of adapters and for states held
    out that are learned from, and whatever a stage raises.
    """
    folder = Path(settings.out)
    for plugin in settings.plugins:
        load_plugin(Path(plugin))
    if settings.soup > 1 and settings.options.lora:
        raise UsageError(f"--soup {settings.soup}: adapters have no mean; train all weights (--full)")
    spec = priced_by(settings)
    _refuse_states(settings)
    foresee(settings.options)
    if _finished(folder / "round-1") not in (None, _asked(settings, None)):
        raise UsageError(f"{folder}: holds rounds of other states or settings; choose another --out")
    for number in range(1, settings.rounds + 1):
        refuse_more(_plays(folder / f"round-{number}"), _states(settings, number))
    fixed = [*CONSTANT, *([f"optimal:{spec.alpha:g}"] if settings.world else [])]
    purse = Purse(settings.calls.budget)
    curve = [_measured(settings, purse, folder / "baselines", name, name) for name in fixed]
    policy: Path | None = None
    lost = 0
    for number in range(1, settings.rounds + 1):
        method = f"round-{number}"
        policy, missing = _round(settings, purse, number, folder / method, policy)
        lost += missing
        curve.append(_measured(settings, purse, policy.parent, f"trained:{policy}", method))
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


def _refuse_states(settings: Settings) -> None:
    """Raises UsageError for more states than a split has, and for some held out that are learned from too."""
    learned = [("--n-states", settings.split, settings.n_states)]
    if settings.rounds > 1:
        learned.append(("--later-states", settings.later_split, settings.later_states))
    held_out = _marks(settings, "--n-test", settings.test_split, settings.n_test)
    for flag, split, count in learned:
        if same := examples.shared(_marks(settings, flag, split, count), held_out):
            raise UsageError(
                f"{settings.dataset or settings.world}: --test-split {settings.test_split}: is not held out from split "
                f"{split}, which is learned from ({same})"
            )


def _marks(settings: Settings, flag: str, split: str, count: int | None) -> set[tuple[str, str]]:
    """What the states of a split are known by: those that are played, or all that a world has."""
    found = states(settings, split)
    if settings.dataset:
        if count and count > len(found):
            raise UsageError(f"{flag} {count} is more than the {len(found)} states there are of split {split}")
        found = found[:count]
    return {mark for state in found for mark in examples.marks(msgspec.to_builtins(state))}


def _round(settings: Settings, purse: Purse, number: int, folder: Path, policy: Path | None) -> tuple[Path, int]:
    """One round: the folder of its policy, and how many lines were missing to learn from.

    In the first one a question is followed by an answer at once; later ones go on learning where the last one ended,
    from the later states.
    """
    played, rewards, pairs = _plays(folder), folder / "rewards.jsonl", folder / "pairs.jsonl"
    output, asked = folder / "policy", _asked(settings, policy)
    if _finished(folder) == asked and (output / manifest.FILE).is_file():
        console.note(f"iterate: {folder.name}: finished before")
        return output, 0
    console.note(f"iterate: {folder.name}: playing, going on by {policy or 'an answer at once'}")
    lost = play(
        settings,
        purse,
        played,
        _states(settings, number),
        policy="always-clarify",
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
    lost += price(settings, played, rewards, pairs)
    learn(settings, pairs, output, str(policy) if policy else None)
    if not lost:
        sidecar.write_meta(folder / FINISHED, {"asked": asked})
    return output, lost


def _finished(folder: Path) -> Any:
    """What a round was asked for that ended without a missing line."""
    # Older rounds have it where the manifest of a policy.gguf stands that is written beside them.
    metas = (sidecar.read_meta(folder / name) for name in (FINISHED, "policy"))
    return next((meta["asked"] for meta in metas if "asked" in meta), None)


def _plays(folder: Path) -> Path:
    return folder / "trajectories.jsonl"


def _states(settings: Settings, number: int) -> Played:
    """What a round plays. A world has as many states as one likes, so that no round plays what an earlier one has."""
    if number == 1:
        return Played(settings.split, 0, settings.n_states, settings.replicates)
    before = (settings.n_states or 0) + (number - 2) * (settings.later_states or 0)
    skip = before if settings.world else 0
    return Played(settings.later_split, skip, settings.later_states, settings.replicates)


def _asked(settings: Settings, policy: Path | None) -> str:
    """All that decides what a round learns."""
    no_part: tuple[str, ...] = NO_PART if policy else (*NO_PART, *LATER)
    no_part += tuple(name for name, usual in WHERE_GIVEN.items() if getattr(settings, name) == usual)
    told = {name: value for name, value in msgspec.to_builtins(settings).items() if name not in no_part}
    states = [line.raw for line in jsonl.lines(Path(settings.dataset))] if settings.dataset else []
    return digest(told, states, manifest.read(policy).weights if policy else "")


def _measured(settings: Settings, purse: Purse, folder: Path, policy: str, method: str) -> dict[str, Any]:
    """Mean reward of a policy on the states held out, over tasks."""
    played, rewards, pairs = (folder / f"{method}-test{kind}.jsonl" for kind in ("", "-rewards", "-pairs"))
    lost = play(
        settings,
        purse,
        played,
        Played(settings.test_split, 0, settings.n_test, settings.test_replicates),
        policy=policy,
        branches=0,
        rules=Rules(multi_turn=True, max_turns=settings.max_turns),
        method=method,
    )
    lost += price(settings, played, rewards, pairs)
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


def show(report: dict[str, Any]) -> None:
    columns = ["method", "reward", "low", "high", "ask_rate", "tasks", "missing"]
    rows = [[point[name] for name in columns] for point in report["curve"]]
    heads = ["asks first" if name == "ask_rate" else name for name in columns]
    console.table(f"iterate: {report['out']}, on the states held out", heads, rows)
