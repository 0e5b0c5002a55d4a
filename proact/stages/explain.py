"""explain: why a pair prefers one action, in numbers; or why a group gave no pair. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from proact import console, jsonl, sidecar
from proact.errors import UsageError
from proact.executor import Task
from proact.records import PreferencePair, Reward, Trajectory
from proact.registry import load_plugin
from proact.rewards import sweep
from proact.rewards.breakdown import breakdown, known_spec, noted_spec
from proact.rewards.joined import repriced
from proact.rewards.outcomes import Outcome
from proact.rewards.pairs import Pairs, Row, comparable
from proact.rewards.trajectories import Sorted


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `proact explain` was told."""

    pair: str
    pairs: str
    rewards: str
    trajectories: str
    domain: str | None = None
    plugins: list[str] = []


def perform(task: Task) -> bytes:
    """Run the stage; returns the summary that the command prints, as JSON."""
    return msgspec.json.encode(explain(msgspec.json.decode(task.settings, type=Settings)))


def explain(settings: Settings) -> dict[str, Any]:
    """Every number behind a pair. Raises UsageError when the files know no such pair or group."""
    for plugin in settings.plugins:
        load_plugin(Path(plugin))
    group = settings.pair.removesuffix("/pair")
    lines = [line for line in Sorted(Path(settings.trajectories), settings.domain) if line.group == group]
    if not lines:
        raise UsageError(f"{settings.trajectories}: there is no group {group!r}")
    ids = {line.id for line in lines}
    made = (Path(settings.rewards), Path(settings.pairs))
    meta = sidecar.read_meta(made[1])
    kept = next((one for one in jsonl.read(Path(settings.pairs), PreferencePair) if one.group == group), None)
    found = {one.id: one for one in jsonl.read(made[0], Reward) if one.id in ids}
    noted = noted_spec(made[1])
    label = kept.spec if kept else noted.label if noted else next((one.spec for one in found.values()), "")
    rewards = {name: _under(label, one, made) for name, one in found.items()}
    builder = Pairs(meta.get("pairs", "weighted"), label)
    group_rows = [Row(line, rewards.get(line.id)) for line in lines]
    pair = kept or builder.of(group_rows)
    played = {one.trajectory.id for one in comparable(group_rows)}
    reason = meta.get("groups_without_pair", {}).get(group) or builder.without.get(group)
    rows = [{**_row(line, rewards.get(line.id), made), "counts_in_pair": line.id in played} for line in lines]
    return {
        "group": group,
        "state": lines[0].state.visible(),
        "persona": lines[0].persona.name,
        "spec": label,
        "rows": rows,
        "pair": None if pair is None else _pair(pair),
        "in_file": kept is not None,
        "reason": None if kept else reason or "the pairs file was made of other trajectories",
        "break_even_alpha": _break_even(lines, rewards, made),
        "exit_code": 0,
    }


def _under(label: str, reward: Reward, made: Sequence[Path]) -> Reward:
    """The reward as the pairs weigh it, which `sweep` may have made of rewards of another spec."""
    if reward.spec == label:
        return reward
    if (spec := known_spec(label, made)) is None:
        raise UsageError(f"{made[0]} is of spec {reward.spec} and {made[1]} of {label}, whose weights no file says")
    return repriced(reward, spec)


def _row(line: Trajectory, reward: Reward | None, made: Sequence[Path]) -> dict[str, Any]:
    spec = known_spec(reward.spec, made) if reward else None
    return {
        "id": line.id,
        "branch": line.branch,
        "replicate": line.replicate,
        "action": line.action,
        "status": reward.status if reward else "missing",
        "task_score": reward.task_score if reward else None,
        "interrupt_cost": reward.interrupt_cost if reward else None,
        "total": reward.total if reward else None,
        "parts": [part._asdict() for part in breakdown(reward.components, reward.task_score, spec)]
        if reward and spec
        else [],
    }


def _pair(pair: PreferencePair) -> dict[str, Any]:
    names = ("chosen_action", "rejected_action", "margin", "margin_se", "p_better", "replicates", "weight")
    found = {name: getattr(pair, name) for name in names}
    return found | {
        name: msgspec.to_builtins(getattr(pair, name)) for name in ("rewards", "task_scores", "interrupt_costs")
    }


def _break_even(lines: list[Trajectory], rewards: dict[str, Reward], made: Sequence[Path]) -> float | None:
    """Alpha at which both actions of the group are worth the same; None for another formula or when there is none."""
    spec = next((known_spec(one.spec, made) for one in rewards.values()), None)
    there = list(sweep.rows(lines, rewards, []))
    if spec is None or spec.components or not there:
        return None
    outcome = Outcome(sweep.Rollouts(there, []).priced([spec]), spec)
    return outcome.flip(lines[0].group, []).break_even_alpha if outcome.rows else None


def show(report: dict[str, Any]) -> None:
    """The rollouts of the group with their addends, then the arms."""
    console.note(f"{report['group']}\n{report['state']['query']}")
    heads = ["action", "branch", "status", "part", "amount", "weight", "adds"]
    rows: list[list[Any]] = []
    for row in report["rows"]:
        name = row["branch"] + (f"~{row['replicate']}" if row["replicate"] else "")
        name += "" if row["counts_in_pair"] else ", not compared"
        parts = [part for part in row["parts"] if part["amount"] or part["name"] == "task score"]
        for index, part in enumerate(parts):
            first = [row["action"], name, row["status"]] if index == 0 else ["", "", ""]
            rows.append([*first, part["name"], part["amount"], part["weight"], part["adds"]])
        first = ["", "", ""] if parts else [row["action"], name, row["status"]]
        rows.append([*first, "reward", None, None, row["total"]])
    console.table(f"what each rollout earned, spec {report['spec']}", heads, rows)
    if pair := report["pair"]:
        table = [
            [
                side,
                pair[f"{side}_action"],
                *(pair[name][side] for name in ("task_scores", "interrupt_costs", "rewards")),
            ]
            for side in ("chosen", "rejected")
        ]
        console.table("arm means", ["", "action", "task score", "interruption cost", "reward"], table)
        error = "" if pair["margin_se"] is None else f" ± {pair['margin_se']:.3f}, p(better) {pair['p_better']:.3f}"
        often = f"replicates {pair['replicates']}, weight {pair['weight']:.3f}"
        console.note(f"margin {pair['margin']:.3f}{error}; {often}")
    if report["break_even_alpha"] is not None:
        console.note(f"both actions are worth the same at alpha {report['break_even_alpha']:.3f}")
    if not report["in_file"]:
        console.note(f"no pair of this group is in the file: {report['reason']}")
