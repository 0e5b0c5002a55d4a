"""validate: names every line of a file that is not what it must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from proact import console, jsonl
from proact.domains import DOMAINS
from proact.errors import InputError, UsageError
from proact.judges.inputs import checked_tests
from proact.metrics.gold import said
from proact.parsing import checked
from proact.records import (
    Conversation,
    Failure,
    Flip,
    GoldLabel,
    Measured,
    Metric,
    Persona,
    PreferencePair,
    Record,
    Reward,
    State,
    Trajectory,
    Verdict,
    Weighting,
)
from proact.registry import load_plugin
from proact.rewards.trajectories import coherent
from proact.sandbox.inside.split import plan
from proact.source import tree

KINDS: dict[str, type[Record]] = {
    "state": State,
    "persona": Persona,
    "trajectory": Trajectory,
    "conversation": Conversation,
    "verdict": Verdict,
    "reward": Reward,
    "pair": PreferencePair,
    "measured": Measured,
    "metric": Metric,
    "weighting": Weighting,
    "flip": Flip,
    "failure": Failure,
    "gold": GoldLabel,
}
SIGNS = {
    "trajectory": {"assistant_msg"},
    "pair": {"chosen_action", "chosen_text"},
    "measured": {"success_source", "preference_compliance_scores"},
    "metric": {"higher_is_better"},
    "weighting": {"policy_success", "on_front"},
    "flip": {"break_even_alpha", "other_at"},
    "failure": {"ids"},
    "verdict": {"judge"},
    "reward": {"interrupt_cost"},
    "state": {"query"},
    "conversation": {"messages", "turns"},
    "persona": {"patience", "expertise", "profile"},
    "gold": {"label", "score"},
}
EXPORTED = "completion"
"""Of the rows that `export` writes, whose label is no person's."""


def validate(path: Path, kind: str | None = None, plugins: Sequence[Path] = ()) -> dict[str, Any]:
    """Check every line. Raises UsageError for an unknown kind, InputError when the file cannot be read."""
    for plugin in plugins:
        load_plugin(plugin)
    if kind is not None and kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}; there is: {', '.join(KINDS)}")
    problems: list[str] = []
    seen: dict[str, int] = {}
    count = 0
    for line in jsonl.lines(path):
        count += 1
        try:
            kind = kind or _guess(jsonl.decode_object(line, path), line.number, path)
            defaults = {"id": "", "domain": ""} if kind == "state" else None
            record = jsonl.decode(line, KINDS[kind], path, defaults)
            _refuse(record, path, line.number)
            problems += (f"{path}:{line.number}: {problem}" for problem in _problems(record, line.number, seen))
        except InputError as error:
            problems.append(str(error))
    return {"file": str(path), "kind": kind, "lines": count, "problems": problems, "exit_code": 2 if problems else 0}


def show(report: dict[str, Any]) -> None:
    for problem in report["problems"]:
        console.note(problem)
    bad = len(report["problems"])
    found = f"{bad} problem{'s' if bad != 1 else ''}" if bad else "all fine"
    console.note(f"{report['file']}: {report['lines']} lines of kind {report['kind'] or 'unknown'}, {found}")


def _guess(fields: dict[str, Any], number: int, path: Path) -> str:
    for kind, signs in SIGNS.items():
        if signs & fields.keys() and not (kind == "gold" and EXPORTED in fields):
            return kind
    raise InputError(path, f"fits no kind of record; name one with --kind ({', '.join(KINDS)})", line=number)


def _refuse(record: Record, path: Path, number: int) -> None:
    """Raises InputError for what every stage that reads such a record would refuse."""
    if isinstance(record, Trajectory):
        coherent(record, path, number)
    elif isinstance(record, Conversation):
        checked(record.messages, path, number)
        checked_tests(record.metadata, path, number)
    elif isinstance(record, GoldLabel):
        said(record, path, number)


def _problems(record: Record, number: int, seen: dict[str, int]) -> Iterator[str]:
    name = getattr(record, "id", "") or getattr(record, "name", "")
    if name and seen.setdefault(name, number) != number:
        yield f"field id: {name!r} is already on line {seen[name]}"
    if isinstance(record, State):
        yield from _unknown(record.domain, "domain")
        yield from _state_problems(record)
    elif isinstance(record, Trajectory):
        yield from _unknown(record.state.domain, "state.domain")


def _unknown(domain: str, field: str) -> Iterator[str]:
    """A domain that is not there can still be given with --domain."""
    if domain and domain not in DOMAINS:
        yield f"field {field}: {DOMAINS.unknown(domain)}"


def _state_problems(state: State) -> Iterator[str]:
    if not state.query.strip():
        yield "field query: is empty"
    ids = [fact.id for fact in state.facts]
    if repeated := {name for name in ids if ids.count(name) > 1}:
        yield f"field facts: the id {min(repeated)!r} is there twice"
    sources = [("setup", state.setup or "")]
    tests = [state.tests] if isinstance(state.tests, str) else state.tests or []
    sources += [(f"tests[{index}]", test) for index, test in enumerate(tests)]
    if state.domain == "coding":
        sources.append(("reference", state.reference or ""))
    broken = False
    for field, source in sources:
        try:
            tree(source)
        except (SyntaxError, ValueError) as error:
            broken = True
            yield f"field {field}: not valid Python ({error})"
    if state.domain == "coding" and tests and not broken and (flaw := plan(tuple(tests), state.setup or "").error):
        yield f"field tests: {flaw}"
