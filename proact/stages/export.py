"""export: a trained policy as one GGUF file, or rewarded trajectories as rows for other trainers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import msgspec

from proact import console, jsonl
from proact.errors import UsageError
from proact.executor import Task
from proact.records import Reward
from proact.registry import load_plugin
from proact.rewards.pairs import Row, comparable
from proact.rewards.trajectories import Sorted
from proact.training import examples, formats, gguf, manifest
from proact.training.manifest import Target

Format = Literal["sft", "kto", "trl-dpo"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `proact export` was told."""

    out: str
    policy: str | None = None
    format: Format | None = None
    target: Target = "text"
    trajectories: str = ""
    rewards: str = ""
    pairs: str = ""
    plugins: list[str] = []


def perform(task: Task) -> bytes:
    """Run the stage; returns the summary that the command prints, as JSON."""
    settings = msgspec.json.decode(task.settings, type=Settings)
    for plugin in settings.plugins:
        load_plugin(Path(plugin))
    return msgspec.json.encode(_gguf(settings) if settings.policy else _rows(settings))


def _gguf(settings: Settings) -> dict[str, Any]:
    folder, out = Path(str(settings.policy)), Path(settings.out)
    if out.suffix != ".gguf":
        raise UsageError(f"--gguf {out}: expected a name that ends in .gguf, by which a policy is known")
    gguf.export(folder, manifest.read(folder), out)
    return {"out": str(out), "format": "gguf", "rows": None, "bytes": out.stat().st_size, "exit_code": 0}


def _rows(settings: Settings) -> dict[str, Any]:
    inputs = [settings.pairs] if settings.format == "trl-dpo" else [settings.trajectories, settings.rewards]
    jsonl.apart(Path(settings.out), *(Path(name) for name in inputs))
    count = 0
    with jsonl.replace(Path(settings.out)) as file:
        for row in _made(settings):
            file.write(msgspec.json.encode(row) + b"\n")
            count += 1
        if not count:
            raise UsageError(f"{inputs[0]}: gives no row for --format {settings.format}")
    return {
        "out": settings.out,
        "format": settings.format,
        "rows": count,
        "bytes": Path(settings.out).stat().st_size,
        "exit_code": 0,
    }


def _made(settings: Settings) -> Iterator[dict[str, Any]]:
    if settings.format == "trl-dpo":
        yield from formats.trl_dpo(examples.read(Path(settings.pairs)), settings.target)
        return
    rewards = {reward.id: reward for reward in jsonl.read(Path(settings.rewards), Reward)}
    make = formats.sft if settings.format == "sft" else formats.kto
    yield from make(_groups(Path(settings.trajectories), rewards), settings.target)


def _groups(path: Path, rewards: dict[str, Reward]) -> Iterator[list[formats.Branch]]:
    for _, group in groupby(Sorted(path), key=lambda trajectory: trajectory.group):
        rows = [Row(trajectory, rewards.get(trajectory.id)) for trajectory in group]
        if branches := formats.best_of(rewards, (row.trajectory for row in comparable(rows))):
            yield branches


def show(report: dict[str, Any]) -> None:
    rows = [[name, report[name]] for name in ("format", "rows", "bytes")]
    console.table(f"export: {report['out']}", ["", "value"], rows)
