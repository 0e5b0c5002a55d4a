"""The conversations of a report as JSON: a small index, and chunks that the page reads when one is opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proact.judges.inputs import of_trajectory
from proact.judges.turns import said
from proact.metrics.load import Joined, Source, is_log, log_subjects, trajectories
from proact.metrics.subject import Evidence
from proact.records import Measured, Message, Trajectory
from proact.rewards.breakdown import breakdown, known_spec

CHUNK = 100
SHOWN = 160
ORDER = {name: place for place, name in enumerate(("mainline", "again", "other", "variant", "placebo", "oracle"))}
Key = tuple[str, str, int]


class Browser(NamedTuple):
    """What the page's browser shows: the conversations that were measured, and where their texts are."""

    sources: Sequence[Source]
    rows: Sequence[Measured]
    evidence: Evidence
    joined: Joined
    domain: str | None
    priced: Sequence[Path]
    """Rewards and pairs, beside which their spec stands."""
    limit: int

    def entries(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """For each conversation a line of the index and its body, by task, persona and method."""
        rows = sorted(self.rows, key=lambda row: (row.task, row.persona, row.method, row.seed, row.replicate))
        wanted = {_key(row): row for row in rows[: self.limit]}
        bodies: dict[Key, dict[str, Any]] = {}
        for source in self.sources:
            if is_log(source.path):
                self._logs(source, wanted, bodies)
            else:
                self._played(source, wanted, bodies)
        return [(_head(row, bodies[key]), bodies[key]) for key, row in wanted.items() if key in bodies]

    def _logs(self, source: Source, wanted: dict[Key, Measured], bodies: dict[Key, dict[str, Any]]) -> None:
        for subject in log_subjects(source, self.joined, self.evidence):
            key = subject.method, subject.conversation, subject.replicate
            if key in wanted:
                bodies[key] = {"messages": _messages(subject.messages), "groups": [], **_measured(wanted[key])}

    def _played(self, source: Source, wanted: dict[Key, Measured], bodies: dict[Key, dict[str, Any]]) -> None:
        groups: dict[Key, dict[int, list[Trajectory]]] = defaultdict(lambda: defaultdict(list))
        for line in trajectories(source, self.domain):
            key = line.method, line.conversation, line.replicate
            if key in wanted:
                groups[key][line.decision_point].append(line)
                if line.id == wanted[key].id:
                    messages = _messages(of_trajectory(line).messages)
                    bodies[key] = {"messages": messages, "groups": [], **_measured(wanted[key])}
        for key, points in groups.items():
            for _, lines in sorted(points.items()):
                lines.sort(key=lambda line: (ORDER.get(line.branch, 9), line.branch))
                group = {"turn": lines[0].turn, "branches": [self._branch(line) for line in lines]}
                bodies[key]["groups"].append(group)

    def _branch(self, line: Trajectory) -> dict[str, Any]:
        case = of_trajectory(line)
        found: dict[str, Any] = {
            "id": line.id,
            "branch": line.branch,
            "action": line.action,
            "p_clarify": line.p_clarify,
            "stop": line.stop,
            "messages": _messages(case.messages[case.start :]),
        }
        if earned := self.evidence.rewards.get(line.id):
            spec = known_spec(earned.spec, self.priced)
            parts = breakdown(earned.components, earned.task_score, spec) if spec else []
            found |= {"status": earned.status, "task_score": earned.task_score, "cost": earned.interrupt_cost}
            found |= {"total": earned.total, "spec": earned.spec, "parts": parts, "components": earned.components}
        return found


def safe_json(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end that element or begin another."""
    return msgspec.json.encode(value).decode().replace("<", "\\u003c")


def chunks(entries: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> Iterator[str]:
    """The bodies, some at a time, each as JSON."""
    for start in range(0, len(entries), CHUNK):
        yield safe_json([body for _, body in entries[start : start + CHUNK]])


def _key(row: Measured) -> Key:
    return row.method, row.conversation, row.replicate


def _head(row: Measured, body: dict[str, Any]) -> dict[str, Any]:
    first = next((message["text"] for message in body["messages"] if message["role"] == "user"), "")
    success = row.metrics.get("task_success")
    return {
        "id": row.id,
        "method": row.method,
        "persona": row.persona,
        "action": row.action or "",
        "outcome": "unknown" if success is None else "solved" if success == 1.0 else "not solved",
        "task": row.task,
        "text": " ".join(first.split())[:SHOWN],
        "reward": row.metrics.get("reward"),
        "branches": max((len(group["branches"]) for group in body["groups"]), default=0),
    }


def _measured(row: Measured) -> dict[str, Any]:
    return {"metrics": row.metrics, "missing": row.missing, "source": row.success_source}


def _messages(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": str(message["role"]), "text": said(message)} for message in messages]
