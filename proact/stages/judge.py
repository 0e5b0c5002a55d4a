"""judge: verdicts on trajectories or on any conversation log. One that cannot be had is missing, and never a score."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import msgspec

from proact import console, jsonl
from proact.cache import cache_dir
from proact.errors import InputError, UsageError
from proact.executor import Task
from proact.judges import JUDGES, AnyJudge, Asker, Case, GroupJudge, Setup, Subject, not_applicable, open_judge
from proact.judges.asking import Bench, again, judged
from proact.judges.inputs import of_trajectory
from proact.judges.logs import JoinBy, Logs
from proact.judges.seats import Seat, Work, job_name, subjects, topic, verdicts
from proact.judges.tally import Plan, tally
from proact.keys import digest
from proact.labels import caveat
from proact.llm import Models, Options, Sampling
from proact.records import Verdict
from proact.registry import load_plugin
from proact.rewards.trajectories import Sorted
from proact.sandbox import Isolation, Sandbox
from proact.stage import Job, Paid, Summary, run_paid


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `proact judge` was told."""

    judges: list[str]
    out: str
    model: str | None = None
    lines: Literal["mainline", "all"] = "mainline"
    profiles: str | None = None
    problems: str | None = None
    join: JoinBy = "id"
    domain: str | None = None
    setup: Setup = Setup()
    repeats: int = 1
    sampling: Sampling = Sampling(temperature=0.0)
    options: Options = Options()
    seed: int = 0
    isolation: Isolation = "auto"
    debug: bool = False
    overwrite: bool = False
    max_failures: int | None = None
    plugins: list[str] = []


def perform(task: Task) -> bytes:
    """Run the stage on a file; returns the summary that the command prints, as JSON."""
    settings = msgspec.json.decode(task.settings, type=Settings)
    if task.source is None:
        raise UsageError("judge needs a file to judge: --in FILE")
    if task.start or task.end is not None:
        raise UsageError("judge takes whole files: the lines of a group may lie anywhere")
    return msgspec.json.encode(JudgeRun(settings, Path(task.source)).run())


def listing(plugins: list[str]) -> dict[str, Any]:
    """Every judge there is, with what it is for."""
    for plugin in plugins:
        load_plugin(Path(plugin))
    rows = []
    for name in JUDGES:
        kind = JUDGES[name]
        model = (kind.default_model or "to be named") if kind.needs_model else "none"
        of = "group" if issubclass(kind, GroupJudge) else "conversation"
        about = (kind.__doc__ or "").strip().partition("\n\n")[0]
        rows.append({"judge": name, "of": of, "model": model, "about": " ".join(about.split())})
    return {"judges": rows, "exit_code": 0}


class JudgeRun:
    """One run of the stage."""

    def __init__(self, settings: Settings, source: Path) -> None:
        self.settings, self.source = settings, source
        joined = [Path(file) for file in (settings.profiles, settings.problems) if file]
        jsonl.apart(source, *joined, Path(settings.out))
        for plugin in settings.plugins:
            load_plugin(Path(plugin))
        self.kind = self._kind()
        self.models = Models(settings.options)
        judges = {name: open_judge(name, settings.setup) for name in dict.fromkeys(settings.judges)}
        runs_code = any(type(judge).ran is not Asker.ran for judge in judges.values()) and settings.setup.sandbox
        cache = cache_dir() / "sandbox.db"
        self.sandbox = Sandbox(isolation=settings.isolation, cache=cache) if runs_code else None
        self.seats = [self._seat(name, judge) for name, judge in judges.items()]
        self.plan = Plan()

    def run(self) -> dict[str, Any]:
        settings = self.settings
        paid = Paid(
            stage="judge",
            out=Path(settings.out),
            settings={},
            concurrency=settings.options.concurrency,
            max_failures=settings.max_failures,
            overwrite=settings.overwrite,
            specs={seat.spec: seat.body for seat in self.seats},
        )
        try:
            summary = run_paid(self._jobs, self._step, paid, sync=self.models.sync, close=self.models.close)
        finally:
            if self.sandbox:
                self.sandbox.close()
        return self._report(summary)

    def _seat(self, name: str, judge: AnyJudge) -> Seat:
        settings = self.settings
        body: dict[str, Any] = {"judge": name, **judge.settings()}
        module = type(judge).__module__
        if module.startswith("proact_plugin_"):
            body["plugin"] = module
        model = None
        if judge.needs_model:
            spec = settings.model or judge.default_model
            if not spec:
                raise UsageError(
                    f"judge {name} needs a --model: openai:NAME, local:smollm2, local:FILE.gguf, hf:NAME, "
                    "synthetic: (a stand-in)"
                )
            model = self.models.open(spec)
            sampling = msgspec.to_builtins(settings.sampling)
            body |= {"model": model.name, **sampling, "seed": settings.seed}
            if weights := self.models.weights.get(model.name):
                body["weights"] = weights
        return Seat(name, judge, Bench(model, settings.sampling, self.sandbox), digest(body), body)

    def _kind(self) -> Literal["trajectory", "conversation"]:
        first = next(jsonl.lines(self.source), None)
        if first is None:
            return "conversation"
        fields = jsonl.decode_object(first, self.source)
        if "assistant_msg" in fields:
            if self.settings.profiles or self.settings.problems:
                raise UsageError("--profiles and --problems belong to conversation logs; trajectories bring their own")
            return "trajectory"
        if not {"messages", "turns"} & fields.keys():
            message = "is neither a trajectory nor a conversation: it has no messages"
            raise InputError(self.source, message, line=first.number)
        return "conversation"

    def _groups(self) -> Iterator[tuple[list[Case], list[Case]]]:
        """The cases of each group, and those among them that are judged one by one."""
        settings = self.settings
        if self.kind == "conversation":
            profiles, problems = (Path(file) if file else None for file in (settings.profiles, settings.problems))
            for cases in Logs(self.source, profiles=profiles, problems=problems, join=settings.join).groups():
                yield cases, cases
            return
        lines = Sorted(self.source, settings.domain, any_domain=True)
        for _, group in groupby(lines, key=lambda line: line.group):
            cases, single = [], []
            for trajectory in group:
                case = of_trajectory(trajectory)
                cases.append(case)
                if settings.lines == "all" or (trajectory.is_mainline and not trajectory.decision_point):
                    single.append(case)
            yield cases, single

    def _jobs(self) -> Iterator[Job[Work]]:
        for cases, single in self._groups():
            for seat in self.seats:
                if isinstance(seat.judge, GroupJudge):
                    owner = cases[0].group or cases[0].id
                    yield from self._of(seat, owner, cases, subjects(seat, cases))
                else:
                    for case in single:
                        yield from self._of(seat, case.id, [case], subjects(seat, case))
        self.plan.close()

    def _of(self, seat: Seat, owner: str, cases: list[Case], found: list[Subject]) -> Iterator[Job[Work]]:
        if not found:
            nothing = not_applicable("There is nothing to judge.")
            known = [msgspec.structs.replace(nothing, case=case.id) for case in cases]
            found = [Subject(key="all", known=known)]
        if len({subject.key for subject in found}) < len(found):
            raise UsageError(f"judge {seat.name} gave two subjects of {owner} the same key")
        names = [(case.id, case.conversation, case.group) for case in cases]
        for subject in found:
            computed = subject.known is not None or subject.program or not seat.judge.needs_model
            for repeat in range(1 if computed or subject.problem else self.settings.repeats):
                each = again(subject, repeat, self.settings.seed)
                key = job_name(owner, each.key, seat, repeat)
                self.plan.add(seat.name, key)
                yield Job(
                    key,
                    digest(each),
                    Work(seat, each, len(found), names),
                    judge=seat.name,
                    spec=seat.spec,
                    topic=topic(owner, each.key, seat),
                )

    async def _step(self, work: Work) -> list[Verdict]:
        outcome = await judged(work.seat.judge, work.subject, work.seat.bench)
        found = verdicts(work, outcome)
        if self.settings.debug:
            for one in found:
                console.note(f"{one.id}: {one.label or ''} {console.shown(one.score)} {one.rationale}")
        return found

    def _report(self, summary: Summary) -> dict[str, Any]:
        ledger = self.models.ledger
        relative = {seat.name: isinstance(seat.judge, GroupJudge) for seat in self.seats}
        rows = tally(Path(self.settings.out), self.plan, relative, repeated=self.settings.repeats > 1)
        return {
            "out": self.settings.out,
            "judges": rows,
            "specs": {seat.name: seat.spec for seat in self.seats},
            "planned": summary.planned,
            "skipped": summary.skipped,
            "done": summary.done,
            "missing": summary.failed,
            "caveat": caveat(model for row in rows for model in row["models"]),
            "calls": ledger.calls,
            "cached": ledger.cached,
            "prompt_tokens": ledger.prompt_tokens,
            "completion_tokens": ledger.completion_tokens,
            "wasted_tokens": ledger.wasted,
            "cost": ledger.cost,
            "seconds": round(summary.seconds, 2),
            "exit_code": summary.exit_code,
        }


def show(report: dict[str, Any]) -> None:
    """The summary as tables."""
    columns = ["judge", "subjects", "judged", "not_applicable", "missing", "mean", "spread"]
    rows = [[row[name] for name in columns] for row in report["judges"]]
    title = f"judge: {report['out']}" + (f" ({report['caveat']})" if report["caveat"] else "")
    console.table(title, [name.replace("_", " ") for name in columns], rows)
    labels = [[row["judge"], label, count] for row in report["judges"] for label, count in row["labels"].items()]
    if labels:
        console.table("verdicts by label", ["judge", "label", "n"], labels)
    names = ("skipped", "calls", "cached", "prompt_tokens", "completion_tokens", "wasted_tokens", "cost", "seconds")
    console.table("what it took", ["", "n"], [[name.replace("_", " "), report[name]] for name in names])


def show_listing(report: dict[str, Any]) -> None:
    columns = ["judge", "of", "model", "about"]
    console.table("judges", columns, [[row[name] for name in columns] for row in report["judges"]])
