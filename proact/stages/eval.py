"""eval: measures conversations, compares methods, and writes the tables, the picture and the page. Pure."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from proact import console, jsonl, plots
from proact.errors import UsageError
from proact.executor import Task
from proact.judges.logs import JoinBy
from proact.labels import TAU
from proact.metrics import aggregate, gold, load, policy
from proact.metrics.base import MetricSpec
from proact.metrics.compare import compare
from proact.metrics.conversation import measure
from proact.metrics.facts import Facts, warnings
from proact.metrics.subject import Evidence
from proact.records import Measured, Metric
from proact.registry import load_plugin
from proact.report import page, tables
from proact.report.browser import Browser
from proact.stage import run_pure
from proact.stats.pareto import front

SUCCESS, COST = "task_success_rate", "avg_interrupt_cost"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `proact eval` was told. `sources` are (file, method), the method empty where lines name it."""

    sources: list[tuple[str, str]]
    out: str
    verdicts: list[str] = []
    verdict_specs: dict[str, str] = {}
    rewards: list[str] = []
    profiles: str | None = None
    problems: str | None = None
    join: JoinBy = "id"
    gold: str | None = None
    pairs: str | None = None
    by: aggregate.By | None = None
    interval: aggregate.IntervalChoice = "auto"
    tau: float = TAU
    domain: str | None = None
    price: tuple[float, float] | None = None
    browse: int = 10_000
    plot: bool = True
    plugins: list[str] = []


def perform(task: Task) -> bytes:
    """Run the stage; returns the summary that the command prints, as JSON."""
    settings = msgspec.json.decode(task.settings, type=Settings)
    return msgspec.json.encode(EvalRun(settings).run())


class EvalRun:
    """One run of the stage."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        for plugin in settings.plugins:
            load_plugin(Path(plugin))
        if settings.plot:
            plots.needed()
        self.sources = [load.Source(Path(path), method or None) for path, method in settings.sources]
        self.evidence = Evidence(
            [Path(path) for path in settings.verdicts],
            [Path(path) for path in settings.rewards],
            settings.tau,
            settings.verdict_specs,
        )
        self.joined = load.Joined(_path(settings.profiles), _path(settings.problems), settings.join)
        self.pairs = policy.read_pairs(Path(settings.pairs)) if settings.pairs else None
        self.decisions: dict[str, list[policy.Decision]] = defaultdict(list)
        self.facts = Facts()
        self.lengths: gold.Lengths = {}

    def run(self) -> dict[str, Any]:
        started, out = time.monotonic(), Path(self.settings.out)
        rows = sorted(self._measured(), key=lambda row: (row.method, row.id))
        if not rows:
            raise UsageError("there is no conversation to evaluate: no line of the files is a mainline")
        result = self._result(aggregate.by_method(rows))
        run_pure(out / "conversations.jsonl", rows)
        run_pure(out / "metrics.jsonl", result.pop("rows"))
        with jsonl.replace(out / "comparison.json") as file:
            file.write(msgspec.json.format(msgspec.json.encode(result, order="sorted"), indent=2) + b"\n")
        pictures = self._pictures(result, out)
        page.write(out / "report.html", result, self._browser(rows), pictures)
        written = ("conversations.jsonl", "metrics.jsonl", "comparison.json", "report.html")
        return result | {
            "out": [str(out / name) for name in written] + ([str(out / "pareto.png")] if "pareto" in pictures else []),
            "seconds": round(time.monotonic() - started, 2),
            "exit_code": 3 if result["missing"] else 0,
        }

    def _browser(self, rows: list[Measured]) -> Browser:
        settings = self.settings
        return Browser(
            sources=self.sources,
            rows=rows,
            evidence=self.evidence,
            joined=self.joined,
            domain=settings.domain,
            pairs=_path(settings.pairs),
            limit=settings.browse,
        )

    def _measured(self) -> Iterator[Measured]:
        seen: dict[str, Path] = {}
        for source in self.sources:
            if load.is_log(source.path):
                for subject in load.log_subjects(source, self.joined, self.evidence):
                    load.checked_ids(seen, subject.id, source.path)
                    self.facts.saw_log(subject)
                    yield measure(subject)
            else:
                yield from self._played(source, seen)

    def _played(self, source: load.Source, seen: dict[str, Path]) -> Iterator[Measured]:
        mainlines = load.Mainlines()
        for line in load.trajectories(source, self.settings.domain):
            load.checked_ids(seen, line.id, source.path)
            mainlines.saw(line)
            self.lengths[line.id] = len(line.assistant_msg)
            if decision := policy.decision(line):
                self.decisions[line.method].append(decision)
        counted = mainlines.first()
        for line in load.trajectories(source, self.settings.domain):
            if (line.method, line.id) in counted:
                self.facts.saw(line)
                yield measure(load.subject_of(line, self.evidence))

    def _result(self, methods: dict[str, list[Measured]]) -> dict[str, Any]:
        settings, specs = self.settings, aggregate.specs()
        metrics = [
            aggregate.aggregate(part, spec, by=name, choice=settings.interval)
            for rows in methods.values()
            for name, part in [("", rows), *aggregate.parts(rows, settings.by).items()]
            for spec in specs
        ]
        policies = {
            method: policy.policy_report(self.decisions[method], self.pairs)
            for method in methods
            if self.decisions[method]
        }
        for method, rows in methods.items():
            metrics += aggregate.attempts(rows)
            metrics += policy.policy_metrics(method, policies.get(method, {}))
        measured = {row.metric for row in metrics if row.n}
        tested = [spec for spec in specs if spec.compared and spec.name in measured]
        result: dict[str, Any] = {
            "methods": list(methods),
            "per_method": {
                method: _method(method, rows, metrics, specs, policies.get(method)) for method, rows in methods.items()
            },
            "comparison": compare(methods, tested),
            "by": self._by(methods, tested),
            "not_measured": [spec.name for spec in specs if spec.name not in measured],
            "missing": sum(row.missing for row in metrics if row.metric in measured and not row.by),
            "agreement": self._agreement(),
            "facts": self.facts.shown(settings.price),
            "judges": {judge: sorted(filter(None, models)) for judge, models in sorted(self.evidence.judges.items())},
            "reward_specs": sorted(self.evidence.specs),
            "settings": msgspec.to_builtins(settings),
            "rows": sorted(metrics, key=lambda row: (row.method, row.id)),
        }
        return result | {"pareto": _points(result), "warnings": warnings(result)}

    def _by(self, methods: dict[str, list[Measured]], specs: list[MetricSpec]) -> dict[str, Any]:
        parts: dict[str, dict[str, list[Measured]]] = defaultdict(dict)
        for method, rows in methods.items():
            for name, part in aggregate.parts(rows, self.settings.by).items():
                parts[name][method] = part
        return {name: compare(some, specs) for name, some in sorted(parts.items())}

    def _agreement(self) -> dict[str, Any]:
        verdicts = [verdict for some in self.evidence.by_subject.values() for verdict in some]
        if self.settings.gold:
            labels = gold.read_gold(Path(self.settings.gold))
            return gold.agreements(verdicts, labels, tau=self.settings.tau, lengths=self.lengths)
        retests = {judge: gold.retest(verdicts, judge) for judge in sorted(self.evidence.judges)}
        return {judge: {"retest": found} for judge, found in retests.items() if found}

    def _pictures(self, result: dict[str, Any], out: Path) -> dict[str, str]:
        """Write the pictures; returns each as an svg element for the page."""
        if not self.settings.plot:
            return {}
        pictures = {}
        points = [
            plots.Point(
                label=one["method"],
                x=one["x"],
                y=one["y"],
                x_ends=_pair(one["x_ends"]),
                y_ends=_pair(one["y_ends"]),
                on_front=one["on_front"],
                order=result["methods"].index(one["method"]),
            )
            for one in result["pareto"]
        ]
        if points:
            figure = plots.pareto(points)
            plots.save(figure, out / "pareto.png", out / "pareto.svg")
            pictures["pareto"] = plots.inline(figure, "Task success against interruption cost, one point per method")
        for judge, found in result["agreement"].items():
            if found.get("bins"):
                figure = plots.reliability(found["bins"], f"{judge}: ECE {found['ece']:.3f}")
                plots.save(figure, out / f"reliability-{judge}.png", out / f"reliability-{judge}.svg")
                pictures[f"reliability {judge}"] = plots.inline(figure, f"Reliability diagram of {judge}")
        return pictures


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None


def _pair(ends: list[float] | None) -> tuple[float, float] | None:
    return (ends[0], ends[1]) if ends else None


def _method(
    method: str,
    rows: list[Measured],
    metrics: list[Metric],
    specs: list[MetricSpec],
    policy_report: dict[str, Any] | None,
) -> dict[str, Any]:
    """One method under the document's keys, and everything else beside them."""
    own = {row.metric: row for row in metrics if row.method == method and not row.by}
    spreads = {spec.name: aggregate.seed_spread(rows, spec) for spec in specs}
    return {
        "method": method,
        "n_conversations": len(rows),
        **{name: row.mean for name, row in own.items()},
        "metrics": {name: msgspec.to_builtins(row) for name, row in own.items()},
        "seeds": {name: spread for name, spread in spreads.items() if spread},
        "policy": policy_report,
    }


def _points(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The Pareto points: every method whose success and interruption cost are both known."""
    found = []
    for method in result["methods"]:
        metrics = result["per_method"][method]["metrics"]
        success, cost = metrics[SUCCESS], metrics[COST]
        if success["mean"] is not None and cost["mean"] is not None:
            ends = [_ends(cost), _ends(success)]
            found.append(
                {"method": method, "x": cost["mean"], "y": success["mean"], "x_ends": ends[0], "y_ends": ends[1]}
            )
    marks = front([(one["x"], one["y"]) for one in found])
    return [one | {"on_front": mark} for one, mark in zip(found, marks, strict=True)]


def _ends(metric: dict[str, Any]) -> list[float] | None:
    return None if metric["ci_low"] is None else [metric["ci_low"], metric["ci_high"]]


def show(report: dict[str, Any]) -> None:
    """The comparison as a table, and where the rest is."""
    rows = []
    for row in tables.comparison_rows(report):
        cells = ["-" if cell is None else _cell(cell) for cell in row["cells"]]
        rows.append([f"{row['name']} {'↑' if row['up'] else '↓'}", *cells, row["finding"]])
    console.table("eval: means over tasks, 95 % intervals", ["metric", *report["methods"], "finding"], rows)
    if report["not_measured"]:
        console.note(f"not measured: {', '.join(report['not_measured'])}")
    for warning in report["warnings"]:
        console.note(warning)
    for path in report["out"]:
        console.note(path)


def _cell(cell: dict[str, Any]) -> str:
    return "\n".join(filter(None, [cell["mean"], cell["ends"], cell["counts"]]))
