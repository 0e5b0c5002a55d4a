"""From files to the conversations that count: mainlines by their first line, and outside logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proact import jsonl
from proact.errors import InputError, UsageError
from proact.judges.inputs import of_trajectory
from proact.judges.logs import JoinBy, Logs
from proact.metrics.subject import Evidence, Subject, by_judge
from proact.records import Trajectory
from proact.rewards.trajectories import Sorted


class Source(NamedTuple):
    """A file of conversations, and the name of its method when the command line gives one."""

    path: Path
    method: str | None = None


class Joined(NamedTuple):
    """Files that outside logs are completed from."""

    profiles: Path | None = None
    problems: Path | None = None
    by: JoinBy = "id"


def is_log(path: Path) -> bool:
    """Whether a file holds outside conversations and not trajectories. Raises InputError when it is empty."""
    for line in jsonl.lines(path):
        fields = jsonl.decode_object(line, path)
        if "assistant_msg" in fields:
            return False
        if {"messages", "turns"} & fields.keys():
            return True
        raise InputError(path, "is neither a trajectory nor a conversation", line=line.number)
    raise InputError(path, "is empty")


def trajectories(source: Source, domain: str | None = None) -> Iterator[Trajectory]:
    """All lines of a file of trajectories, sorted by (group, id), under the method that they are compared as."""
    for line in Sorted(source.path, domain):
        method = source.method or line.method or source.path.stem
        yield line if method == line.method else msgspec.structs.replace(line, method=method)


class Mainlines:
    """Remembers which conversations were seen: only the first decision of each counts."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str, int], tuple[int, str]] = {}

    def saw(self, line: Trajectory) -> None:
        if line.is_mainline:
            key = line.method, line.conversation, line.replicate
            place = line.decision_point, line.id
            self._first[key] = min(self._first.get(key, place), place)

    def first(self) -> set[tuple[str, str]]:
        """(method, id) of the lines that count."""
        return {(key[0], place[1]) for key, place in self._first.items()}


def subject_of(line: Trajectory, evidence: Evidence) -> Subject:
    """The conversation that begins with this line."""
    return Subject(
        id=line.id,
        conversation=line.conversation,
        method=line.method,
        task=line.state.id,
        persona=line.persona.name,
        family=line.state.family,
        split=line.state.split,
        seed=line.seed,
        replicate=line.replicate,
        domain=line.state.domain,
        action=line.action,
        messages=of_trajectory(line).messages,
        line=line,
        reward=evidence.rewards.get(line.id),
        verdicts=by_judge(evidence.by_subject.get(line.id, [])),
        evidence=evidence,
    )


def log_subjects(source: Source, joined: Joined, evidence: Evidence) -> Iterator[Subject]:
    """The conversations of an outside log. They are paired by `problem_id`, else by their group, else by their id."""
    logs = Logs(source.path, profiles=joined.profiles, problems=joined.problems, join=joined.by)
    heads: dict[str, dict[str, Any]] = {}
    for row, line in enumerate(jsonl.lines(source.path)):
        fields = jsonl.decode_object(line, source.path)
        heads[logs.names[row]] = {**fields, "row": f"{row}"}
    positional = joined.by == "position"
    for case in (case for group in logs.groups() for case in group):
        head = heads[case.id]
        task = head.get("problem_id") or head.get("task_id") or head.get("group")
        yield Subject(
            id=case.id,
            conversation=case.conversation,
            method=source.method or head.get("method") or source.path.stem,
            task=f"{task or (head['row'] if positional else case.id)}",
            persona=f"{head.get('profile_id') or head.get('persona') or ''}",
            split=head.get("split"),
            seed=int(head.get("seed") or 0),
            domain=case.domain,
            messages=case.messages,
            measured_reward=head.get("reward"),
            verdicts=by_judge(evidence.by_subject.get(case.id, [])),
            evidence=evidence,
        )


def checked_ids(seen: dict[str, Path], name: str, path: Path) -> None:
    """Raises UsageError when two files hold the same id, whose rewards and verdicts could not be told apart."""
    if seen.setdefault(name, path) != path:
        raise UsageError(
            f"{path}: {name!r} is also in {seen[name]}; play them with different --method names, or evaluate one alone"
        )
