"""reward: scores and prices every trajectory, and builds the preference pairs. Pure: no model is called."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from proact import console, jsonl, sidecar
from proact.cache import cache_dir
from proact.errors import JobError, UsageError
from proact.executor import Task
from proact.labels import caveat
from proact.records import Failure, Reward, Trajectory
from proact.registry import load_plugin
from proact.rewards.components import Verdicts
from proact.rewards.paired import Paired
from proact.rewards.pairs import ORDER, Mode, Row
from proact.rewards.score import reward, scored
from proact.rewards.specs import Spec
from proact.rewards.trajectories import Sorted
from proact.sandbox import Isolation, Sandbox

ACTIONS = ("Clarify", "Execute")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `proact reward` was told."""

    trajectories: str
    rewards: str
    out: str
    spec: Spec
    domain: str | None = None
    verdicts: str | None = None
    verdict_specs: dict[str, str] = {}
    pairs: Mode = "weighted"
    thin: bool = True
    seed: int = 0
    isolation: Isolation = "auto"
    plugins: list[str] = []


def perform(task: Task) -> bytes:
    """Run the stage; returns the summary that the command prints, as JSON."""
    settings = msgspec.json.decode(task.settings, type=Settings)
    return msgspec.json.encode(RewardRun(settings).run())


class RewardRun:
    """One run of the stage: rows are read, scored, written and paired in one pass."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        names = (settings.trajectories, settings.verdicts, settings.rewards, settings.out)
        jsonl.apart(*(Path(name) for name in names if name))
        for plugin in settings.plugins:
            load_plugin(Path(plugin))
        self.judges = {*settings.spec.components, settings.spec.task_score}
        path = Path(settings.verdicts) if settings.verdicts else None
        self.verdicts = Verdicts(path, settings.verdict_specs, self.judges)
        for judge in settings.verdict_specs:
            self._needed(judge)
        self.paired = Paired(settings.spec, settings.pairs, thin=settings.thin, seed=settings.seed)
        self.failures: list[Failure] = []
        self.means: dict[tuple[str, str], list[Reward | None]] = defaultdict(list)
        self.statuses: Counter[str] = Counter()
        self.tokens = 0

    def _needed(self, judge: str) -> None:
        """Raises UsageError for a choice among the verdicts of a judge that plays no part."""
        if judge not in self.verdicts.judges:
            raise UsageError(f"--verdict-spec {judge}: there is no verdict of it; see --verdicts")
        if judge not in self.judges:
            raise UsageError(f"--verdict-spec {judge}: nothing is taken of it; see --component and --task-score")

    def run(self) -> dict[str, Any]:
        started = time.monotonic()
        settings = self.settings
        rewards_path, pairs_path = Path(settings.rewards), Path(settings.out)
        rows = Sorted(Path(settings.trajectories), settings.domain)
        self.progress = console.Progress("reward", len(rows))
        try:
            with (
                jsonl.replace(rewards_path) as rewards,
                jsonl.replace(pairs_path) as pairs,
                Sandbox(isolation=settings.isolation, cache=cache_dir() / "sandbox.db") as sandbox,
            ):
                self.paired.write(self._written(scored(rows, sandbox), rewards), pairs)
        finally:
            self.progress.close()
        self._write_failures(rewards_path)
        report = self._report(len(rows), time.monotonic() - started)
        sidecar.write_meta(pairs_path, self.paired.meta())
        sidecar.write_meta(rewards_path, {"spec": msgspec.to_builtins(settings.spec)})
        return report

    def _written(self, scores: Any, file: Any) -> Iterator[Row]:
        encoder = msgspec.json.Encoder()
        for trajectory, score in scores:
            earned: Reward | None = None
            try:
                if isinstance(score, JobError):
                    raise score
                earned = reward(trajectory, score, self.settings.spec, self.verdicts)
            except JobError as error:
                self._failed(trajectory, error)
            else:
                file.write(encoder.encode(earned) + b"\n")
                self.statuses[earned.status] += 1
                self.progress.done()
            arm = trajectory.action if trajectory.branch in ORDER else trajectory.branch
            self.means[arm, trajectory.persona.name].append(earned)
            # The later lines of a conversation are part of its first one.
            if not trajectory.is_mainline or trajectory.decision_point == 0:
                self.tokens += trajectory.usage.prompt_tokens + trajectory.usage.completion_tokens
            yield Row(trajectory, earned)

    def _failed(self, trajectory: Trajectory, error: JobError) -> None:
        kind = type(error).__name__
        self.failures.append(Failure(ids=[trajectory.id], stage="reward", error=kind, message=str(error)))
        self.progress.failed()

    def _write_failures(self, path: Path) -> None:
        target = sidecar.failures_path(path)
        if self.failures:
            with jsonl.replace(target) as file:
                file.writelines(msgspec.json.encode(failure) + b"\n" for failure in self.failures)
        else:
            target.unlink(missing_ok=True)

    def _report(self, rows: int, seconds: float) -> dict[str, Any]:
        return {
            "trajectories": rows,
            "rewards": rows - len(self.failures),
            "missing": len(self.failures),
            "notes": self._notes(),
            "spec": self.settings.spec.label,
            "means": [_mean(*key, rewards) for key, rewards in sorted(self.means.items())],
            "statuses": dict(sorted(self.statuses.items())),
            "pairs": self.paired.chosen.total(),
            "chosen": {action: self.paired.chosen[action] for action in ACTIONS},
            "reasons": self.paired.reasons,
            "constant_policy": self.paired.constancy.action,
            "tokens": self.tokens,
            "seconds": round(seconds, 2),
            "out": self.settings.out,
            "exit_code": 3 if self.failures else 0,
        }

    def _notes(self) -> list[str]:
        """What the tables must say about the judges in the reward."""
        relative = self.verdicts.relative(self.judges)
        notes = [f"{judge} compares only within a group, so these means do not compare" for judge in relative]
        said = caveat(self.verdicts.models(self.judges))
        return [*notes, said] if said else notes


def _mean(action: str, persona: str, rewards: list[Reward | None]) -> dict[str, Any]:
    there = [reward for reward in rewards if reward is not None]
    totals = [reward.total for reward in there if reward.total is not None]
    scores = [reward.task_score for reward in there if reward.task_score is not None]
    return {
        "action": action,
        "persona": persona,
        "n": len(totals),
        "missing": len(rewards) - len(there),
        "not_applicable": len(there) - len(totals),
        "reward": fmean(totals) if totals else None,
        "task_score": fmean(scores) if scores else None,
        "interrupt_cost": fmean(reward.interrupt_cost for reward in there) if there else None,
    }


def show(report: dict[str, Any]) -> None:
    """The summary as tables."""
    columns = ["action", "persona", "n", "missing", "not_applicable", "reward", "task_score", "interrupt_cost"]
    heads = [name.replace("_", " ") for name in columns]
    rows = [[row[name] for name in columns] for row in report["means"]]
    title = "; ".join([f"reward: mean per action and persona, spec {report['spec']}", *report["notes"]])
    console.table(title, heads, rows)
    counts = [[name, report[name]] for name in ("trajectories", "rewards", "missing", "pairs")]
    counts[3:3] = [[f"answers: {status}", count] for status, count in report["statuses"].items()]
    counts += [[f"pairs that choose {action}", count] for action, count in report["chosen"].items()]
    counts += [[f"groups without a pair: {reason}", count] for reason, count in report["reasons"].items()]
    counts += [["tokens", report["tokens"]], ["seconds", report["seconds"]]]
    console.table(f"preference pairs: {report['out']}", ["", "n"], counts)
