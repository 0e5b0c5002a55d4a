"""diagnose: says what a question was worth in a file of trajectories, and whether there is anything to learn. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from proact import console
from proact.cache import cache_dir
from proact.errors import JobError, UsageError
from proact.executor import Task
from proact.registry import load_plugin
from proact.rewards.components import Verdicts
from proact.rewards.joined import joined, spec_of
from proact.rewards.pairs import Row
from proact.rewards.score import reward, scored
from proact.rewards.specs import Spec, spec_named
from proact.rewards.trajectories import Sorted
from proact.sandbox import Isolation, Sandbox

MAIN = ("EVPI", "gross VoI", "net VoI", "leak", "asking pays")
AUDITED = {
    "unasked": "reveals facts unasked",
    "invented": "makes up a value",
    "repeated": "repeats a fact",
    "early_stops": "refuses while facts are open",
}
MOST_PARTS = 12


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `proact diagnose` was told."""

    trajectories: str
    rewards: str | None = None
    spec: str | None = None
    weights: dict[str, float] = {}
    domain: str | None = None
    isolation: Isolation = "auto"
    plugins: list[str] = []


def perform(task: Task) -> bytes:
    """Run the stage; returns the diagnosis as JSON."""
    return msgspec.json.encode(diagnose(msgspec.json.decode(task.settings, type=Settings)))


def diagnose(settings: Settings) -> dict[str, Any]:
    """The diagnosis as data. Scores the answers itself unless rewards are given.

    What has no reward is missing, which is exit code 3.

    Raises UsageError when the interval functions are not installed, or for rewards of a spec that is not known.
    """
    try:
        from proact.rewards.diagnosis import diagnosis
        from proact.stats.intervals import t_quantile

        t_quantile(0.975, 10)
    except ImportError:
        raise UsageError("diagnose needs scipy: pip install 'proact[eval]'") from None
    for plugin in settings.plugins:
        load_plugin(Path(plugin))
    rows = Sorted(Path(settings.trajectories), settings.domain)
    if settings.rewards:
        earned = [Path(settings.rewards)]
        spec = spec_of(earned, settings.spec, settings.weights)
        report = diagnosis(joined(rows, earned, spec), spec)
    else:
        spec = spec_named(settings.spec or "default", dict(settings.weights))
        with Sandbox(isolation=settings.isolation, cache=cache_dir() / "sandbox.db") as sandbox:
            report = diagnosis(_earned(rows, sandbox, spec), spec)
    return {"trajectories": settings.trajectories, **report, "exit_code": 3 if report["missing"] else 0}


def _earned(rows: Sorted, sandbox: Sandbox, spec: Spec) -> Iterator[Row]:
    without = Verdicts(None)
    for trajectory, score in scored(rows, sandbox):
        try:
            yield Row(trajectory, None if isinstance(score, JobError) else reward(trajectory, score, spec, without))
        except JobError:
            yield Row(trajectory, None)


def show(report: dict[str, Any]) -> None:
    """The diagnosis as tables, and what follows from it in sentences."""
    _show_break_even(report)
    _show_worth(report)
    _show_rest(report)
    if report["missing"]:
        console.note(f"{report['missing']} trajectories have no reward and are in no figure")
    console.table("what follows", ["finding"], [[sentence] for sentence in report["findings"] or ["nothing special"]])


def _show_break_even(report: dict[str, Any]) -> None:
    rows = [
        [row["persona"], row["patience"], row["expertise"], *(_gain(gain) for gain in row["gains"])]
        for row in report["break_even"]
    ]
    if rows:
        heads = ["persona", "patience", "expertise", "1 question", "2 questions", "3 questions"]
        console.table("rise in success from which a message with questions pays", heads, rows)


def _show_worth(report: dict[str, Any]) -> None:
    overall, *parts = report["worth"]
    rows = [
        [name, *(figure[key] for key in ("mean", "low", "high", "n", "missing", "not_applicable"))]
        for name, figure in overall["figures"].items()
    ]
    title = f"worth of a question: {report['tasks']} tasks, {report['decisions']} decisions, spec {report['spec']}"
    console.table(title, ["", "mean", "low", "high", "n", "missing", "not applicable"], rows)
    few = [part for part in parts if sum(other["by"] == part["by"] for other in parts) <= MOST_PARTS]
    if few:
        rows = [
            [part["by"], part["of"], part["figures"]["net VoI"]["n"]]
            + [_with_ends(part["figures"][name]) for name in MAIN]
            for part in few
        ]
        console.table("by persona, uncertainty, turn and family", ["by", "of", "n", *MAIN], rows)


def _gain(gain: float | None) -> str:
    return "never" if gain is None else f"{gain:.2f}" + (" cannot pay" if gain > 1 else "")


def _with_ends(figure: dict[str, Any]) -> str:
    if figure["mean"] is None:
        return "-"
    ends = "" if figure["low"] is None else f" {figure['low']:.2f}..{figure['high']:.2f}"
    return f"{figure['mean']:.3f}{ends}"


def _show_rest(report: dict[str, Any]) -> None:
    audit, shared = report["simulator"], report["correlation"]
    rows = [[name, _with_ends(figure), figure["n"]] for name, figure in report["constant_policies"].items()]
    rows += [
        ["arms within a state: correlation", shared["within"], shared["n_within"]],
        ["arms across states: correlation", shared["across"], shared["n_across"]],
        ["variance, paired over unpaired", shared["variance_ratio"], shared["n_across"]],
    ]
    rows += [[f"user {text}", _with_ends(audit[name]), audit[name]["n"]] for name, text in AUDITED.items()]
    console.table("constant policies, pairing and the simulated user", ["", "value", "n"], rows)
    patience = [
        [row["persona"], row["specified"], _with_ends(row["observed"]), row["observed"]["n"]]
        + [row["clarity_specified"], row["clarity_observed"], row["n_clarity"]]
        for row in audit["patience"]
    ]
    heads = ["persona", "answers: specified", "observed", "n", "clear: specified", "observed", "n"]
    console.table("patience and clarity", heads, patience)
