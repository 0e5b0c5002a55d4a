"""Reads trajectories in the order of (group, id) whatever their order in the file, and names those without an id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import msgspec

from proact import jsonl
from proact.domains import DOMAINS
from proact.errors import InputError
from proact.keys import digest
from proact.parsing import checked
from proact.records import Trajectory


class _Head(msgspec.Struct):
    id: str = ""
    group: str = ""
    terminal: bool = True


class _Place(NamedTuple):
    group: str
    id: str
    number: int
    offset: int
    size: int


def coherent(trajectory: Trajectory, path: Path, number: int) -> None:
    """Raises InputError for messages that are none, and for a place among them that is not there."""
    checked(trajectory.messages, path, number)
    if trajectory.messages and not 0 <= trajectory.at < len(trajectory.messages):
        raise InputError(path, f"there is no message {trajectory.at}", line=number, field="at")
    for step in trajectory.rollout:
        if not 0 <= step.at < len(trajectory.messages):
            raise InputError(path, f"there is no message {step.at}", line=number, field="rollout")


class Sorted:
    """The trajectories of a file, sorted by (group, id), read one at a time; only ids and offsets are in memory."""

    def __init__(self, path: Path, default_domain: str | None = None, *, any_domain: bool = False) -> None:
        self.path, self._domain, self._any_domain = path, default_domain, any_domain
        self._unnamed: Counter[str] = Counter()
        self._plays: Counter[str] = Counter()
        self._names: dict[int, tuple[str, int]] = {}
        self._unfinished: int | None = None
        self._places = sorted(map(self._place, jsonl.lines(path)))
        if self._unfinished:
            message = "the last conversation was cut off; run the same generate command again to finish it"
            raise InputError(path, message, line=self._unfinished)
        self._refuse_twins()

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Trajectory]:
        with self.path.open("rb") as file:
            for place in self._places:
                file.seek(place.offset)
                yield self._read(jsonl.Line(place.number, place.offset, file.read(place.size)))

    def _refuse_twins(self) -> None:
        for one, two in pairwise(sorted(self._places, key=attrgetter("id"))):
            if one.id == two.id:
                first, second = sorted((one.number, two.number))
                raise InputError(self.path, f"{one.id!r} is already on line {first}", line=second, field="id")

    def _place(self, line: jsonl.Line) -> _Place:
        try:
            head = msgspec.json.decode(line.raw, type=_Head)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            head = _Head()
        self._unfinished = None if head.terminal else line.number
        if not head.id or not head.group:
            trajectory = self._read(line)
            head = _Head(id=trajectory.id, group=trajectory.group)
        return _Place(head.group, head.id, line.number, line.offset, len(line.raw))

    def _read(self, line: jsonl.Line) -> Trajectory:
        trajectory = jsonl.decode(line, Trajectory, self.path)
        coherent(trajectory, self.path, line.number)
        if not trajectory.id or not trajectory.group:
            trajectory = self._named(trajectory, line.number)
        name = trajectory.state.domain
        if not self._any_domain and name not in DOMAINS:
            raise InputError(self.path, DOMAINS.unknown(name), line=line.number, field="state.domain")
        return trajectory

    def _named(self, bare: Trajectory, number: int) -> Trajectory:
        """A line that holds only the documents' fields: its names come from its content and its place."""
        state = bare.state
        if not state.domain:
            if not self._domain and not self._any_domain:
                message = "is missing; give it in the file or with --domain"
                raise InputError(self.path, message, line=number, field="state.domain")
            state = msgspec.structs.replace(state, domain=self._domain or "")
        if not state.id:
            state = msgspec.structs.replace(state, id=f"state-{digest(state.domain, state.query)}")
        who = [state.id, bare.persona.name, bare.method, bare.model, f"{bare.seed or ''}"]
        conversation = "/".join(filter(None, who))
        group = bare.group or f"{conversation}/t{state.dialogue_turn}"
        same_as_mainline = bare.mainline_action in (None, bare.action)
        branch = "mainline" if bare.is_mainline else "variant" if same_as_mainline else "other"
        if number not in self._names:
            base, played = f"{group}/{bare.action}", f"{group} {branch}"
            self._names[number] = f"{base}#{self._unnamed[base]}", self._plays[played]
            self._unnamed[base] += 1
            self._plays[played] += 1
        name, replicate = self._names[number]
        return msgspec.structs.replace(
            bare,
            id=bare.id or name,
            group=group,
            conversation=bare.conversation or conversation,
            state=state,
            branch=branch,
            # Who plays a task again without a name for it would lose all plays but the first.
            replicate=bare.replicate or (0 if bare.id else replicate),
            turn=state.dialogue_turn,
        )
