"""eval: measures conversations, compares methods, and writes the tables, the picture and the page. Pure."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from proact import console, jsonl, plots, sidecar
from proact.errors import UsageError
from proact.executor import Task
from proact.judges.logs import JoinBy
from proact.labels import TAU
from proact.metrics import aggregate, gold, load, policy
from proact.metrics import result as results
from proact.metrics.facts import Facts, warnings
from proact.metrics.measure import measure
from proact.metrics.subject import Evidence
from proact.records import Measured, Metric
from proact.registry import load_plugin
from proact.report import page, tables
from proact.report.browser import Browser
from proact.report.pictures import PARETO, draw
from proact.rewards.breakdown import known_spec
from proact.rewards.diagnosis import diagnosis
from proact.rewards.joined import joined
from proact.rewards.trajectories import Sorted
from proact.stage import run_pure

WRITTEN = ("conversations.jsonl", "metrics.jsonl", "comparison.json", "report.html")


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
        self.read = [path for path, _ in settings.sources] + settings.verdicts + settings.rewards
        besides = [path for path in (settings.profiles, settings.problems, settings.gold, settings.pairs) if path]
        jsonl.apart(*map(Path, self.read + besides), *(Path(settings.out, name) for name in WRITTEN + PARETO))
        if settings.gold and not settings.verdicts:
            raise UsageError("--gold needs --verdicts, with which it is compared")
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
        self.priced = [Path(path) for path in [*settings.rewards, *([settings.pairs] if settings.pairs else [])]]
        # All rewards are of one spec.
        self.spec = next((known_spec(label, self.priced) for label in self.evidence.specs), None)
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
        result, metrics = self._result(aggregate.by_method(rows))
        run_pure(out / "conversations.jsonl", rows)
        run_pure(out / "metrics.jsonl", metrics)
        with jsonl.replace(out / "comparison.json") as file:
            file.write(msgspec.json.format(msgspec.json.encode(result, order="sorted"), indent=2) + b"\n")
        pictures = draw(result, out) if self.settings.plot else {}
        if "pareto" not in pictures:
            for name in PARETO:
                (out / name).unlink(missing_ok=True)
        page.write(out / "report.html", result, self._browser(rows), pictures)
        written = [*WRITTEN, *(PARETO[:1] if "pareto" in pictures else ())]
        return result | {
            "out": [str(out / name) for name in written],
            "seconds": round(time.monotonic() - started, 2),
            "exit_code": 3 if result["missing"] or result["failed"] else 0,
        }

    def _browser(self, rows: list[Measured]) -> Browser:
        settings = self.settings
        return Browser(
            sources=self.sources,
            rows=rows,
            evidence=self.evidence,
            joined=self.joined,
            domain=settings.domain,
            priced=self.priced,
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

    def _result(self, methods: dict[str, list[Measured]]) -> tuple[dict[str, Any], list[Metric]]:
        settings = self.settings
        policies = {
            method: policy.policy_report(self.decisions[method], self.pairs)
            for method in methods
            if self.decisions[method]
        }
        compared, rows = results.compared(methods, policies, by=settings.by, choice=settings.interval)
        result: dict[str, Any] = compared | {
            "agreement": self._agreement(),
            "diagnoses": self._diagnoses(),
            "facts": self.facts.shown(settings.price),
            "judges": {judge: sorted(filter(None, models)) for judge, models in sorted(self.evidence.judges.items())},
            "reward_specs": sorted(self.evidence.specs),
            "relative": sorted(self.evidence.relative),
            "weights_known": self.spec is not None,
            "failed": sidecar.failed(self.read),
            "unmatched": self.evidence.unmatched({row.id for some in methods.values() for row in some}),
            "settings": msgspec.to_builtins(settings),
        }
        return result | {"warnings": warnings(result)}, rows

    def _agreement(self) -> dict[str, Any]:
        verdicts = [verdict for some in self.evidence.by_subject.values() for verdict in some]
        if self.settings.gold:
            labels = gold.read_gold(Path(self.settings.gold))
            return gold.agreements(verdicts, labels, tau=self.settings.tau, lengths=self.lengths)
        retests = {judge: gold.retest(verdicts, judge) for judge in sorted(self.evidence.judges)}
        return {judge: {"retest": found} for judge, found in retests.items() if found}

    def _diagnoses(self) -> dict[str, Any]:
        """What questions were worth, for each file of trajectories in which a decision has both arms."""
        if self.spec is None:
            return {}
        rewards = [Path(path) for path in self.settings.rewards]
        found = {}
        for source in self.sources:
            if not load.is_log(source.path):
                report = diagnosis(joined(Sorted(source.path, self.settings.domain), rewards, self.spec), self.spec)
                if report["decisions"]:
                    found[str(source.path)] = report
        return found


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None


def show(report: dict[str, Any]) -> None:
    """The comparison as a table, and where the rest is."""
    rows = []
    found = tables.comparison_rows(report)
    for row in found:
        if row["finding"] == "identical":
            continue
        cells = ["-" if cell is None else _cell(cell) for cell in row["cells"]]
        rows.append([f"{row['name']} {'↑' if row['up'] else '↓'}", *cells, row["finding"]])
    console.table("eval: means over tasks, 95 % intervals", ["metric", *report["methods"], "finding"], rows)
    if same := [row["name"] for row in found if row["finding"] == "identical"]:
        console.note(f"the same in every task: {', '.join(same)}")
    if report["not_measured"]:
        console.note(f"not measured: {', '.join(report['not_measured'])}")
    for warning in report["warnings"]:
        console.note(warning)
    for path in report["out"]:
        console.note(path)


def _cell(cell: dict[str, Any]) -> str:
    return "\n".join(filter(None, [cell["mean"], cell["ends"], cell["counts"]]))
