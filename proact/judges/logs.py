"""Reads conversation logs, joined with the profiles and problems that may stand in files of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from proact import jsonl
from proact.errors import InputError, UsageError
from proact.judges.base import Case
from proact.judges.inputs import checked_tests, of_conversation, preferences_of
from proact.keys import digest
from proact.parsing import checked
from proact.records import Conversation

JoinBy = Literal["id", "position"]


class _Place(NamedTuple):
    group: str
    row: int
    number: int
    offset: int
    size: int


class _Head(msgspec.Struct):
    group: str | None = None


class Logs:
    """The conversations of a file, group by group; only groups and offsets are in memory."""

    def __init__(self, path: Path, *, profiles: Path | None = None, problems: Path | None = None, join: JoinBy = "id"):
        self.path = path
        self._places = [self._place(row, line) for row, line in enumerate(jsonl.lines(path))]
        self._joins = [
            _Join(kind, file, join, len(self._places))
            for kind, file in (("profile", profiles), ("problem", problems))
            if file
        ]
        self.names = self._named()

    def groups(self) -> Iterator[list[Case]]:
        """The cases of each group together; a conversation without a group comes alone."""
        with self.path.open("rb") as file:

            def case(place: _Place) -> Case:
                file.seek(place.offset)
                return of_conversation(self._read(place, file.read(place.size)))

            for name, places in groupby(sorted(self._places), key=lambda place: place.group):
                if name:
                    yield [case(place) for place in places]
                else:
                    yield from ([case(place)] for place in places)

    def _place(self, row: int, line: jsonl.Line) -> _Place:
        try:
            group = msgspec.json.decode(line.raw, type=_Head).group or ""
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            group = ""
        return _Place(group, row, line.number, line.offset, len(line.raw))

    def _named(self) -> list[str]:
        """The id of each line; one without gets the hash of its content."""
        seen: dict[str, int] = {}
        copies: Counter[str] = Counter()
        names = []
        with self.path.open("rb") as file:
            for place in self._places:
                file.seek(place.offset)
                fields = jsonl.decode_object(jsonl.Line(place.number, place.offset, file.read(place.size)), self.path)
                name = fields.get("id")
                if name is None:
                    base = f"conversation-{digest(fields)}"
                    name = f"{base}#{copies[base]}" if copies[base] else base
                    copies[base] += 1
                if not isinstance(name, str):
                    message = f"expected str, got {type(name).__name__}"
                    raise InputError(self.path, message, line=place.number, field="id")
                if seen.setdefault(name, place.number) != place.number:
                    message = f"{name!r} is already on line {seen[name]}"
                    raise InputError(self.path, message, line=place.number, field="id")
                for join in self._joins:
                    join.saw(fields, self.path, place.number)
                names.append(name)
        return names

    def _read(self, place: _Place, raw: bytes) -> Conversation:
        line = jsonl.Line(place.number, place.offset, raw)
        log = jsonl.decode(line, Conversation, self.path, {"id": self.names[place.row]})
        checked(log.messages, self.path, place.number)
        checked_tests(log.metadata, self.path, place.number)
        for join in self._joins:
            log = join.apply(log, place.row)
        return log


class _Join:
    """One file whose lines belong to conversations: by `<kind>_id`, or by position where nothing has ids."""

    def __init__(self, kind: str, path: Path, by: JoinBy, count: int) -> None:
        self.kind, self.path, self.by, self.key = kind, path, by, f"{kind}_id"
        self._rows: list[dict[str, Any]] = []
        self._by_id: dict[str, dict[str, Any]] = {}
        for line in jsonl.lines(path):
            self._add(jsonl.decode_object(line, path), line.number)
        if by == "position" and len(self._rows) != count:
            raise UsageError(f"--join position: {path} has {len(self._rows)} lines for {count} conversations")

    def _add(self, fields: dict[str, Any], number: int) -> None:
        if self.kind == "profile":
            try:
                fields["preferences"] = preferences_of(fields)
            except msgspec.ValidationError as error:
                raise InputError(self.path, str(error), line=number, field="preferences") from None
        else:
            checked_tests(fields, self.path, number)
        name = fields.get(self.key, fields.get("id"))
        if self.by == "position" and name is not None:
            raise UsageError(f"--join position: {self.path}:{number} has an id; use --join id")
        if self.by == "id" and name is None:
            raise InputError(self.path, "is required to join by id", line=number, field=self.key)
        if f"{name}" in self._by_id and name is not None:
            raise InputError(self.path, f"{name!r} is there twice", line=number, field=self.key)
        self._by_id[f"{name}"] = fields
        self._rows.append(fields)

    def saw(self, fields: dict[str, Any], path: Path, number: int) -> None:
        """Look at a conversation beforehand. Raises InputError or UsageError when it cannot be joined."""
        name = fields.get(self.key)
        if self.by == "position":
            if name is not None:
                raise UsageError(f"--join position: {path}:{number} has a {self.key}; use --join id")
        elif name is None:
            raise InputError(path, f"is required to find its line in {self.path}", line=number, field=self.key)
        elif f"{name}" not in self._by_id:
            raise InputError(path, f"{name!r} is not in {self.path}", line=number, field=self.key)

    def apply(self, log: Conversation, row: int) -> Conversation:
        found = self._rows[row] if self.by == "position" else self._by_id[f"{log.metadata[self.key]}"]
        if self.kind == "profile":
            return msgspec.structs.replace(log, preferences=found["preferences"])
        changes = {name: f"{found[name]}" for name in ("problem", "solution", "domain") if found.get(name) is not None}
        tests = {name: found[name] for name in ("tests", "setup") if found.get(name)}
        return msgspec.structs.replace(log, **changes, metadata={**log.metadata, **tests})
