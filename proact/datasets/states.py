"""Reads state files: ids are completed and checked, and a selection is made in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proact import jsonl
from proact.errors import InputError, UsageError
from proact.keys import digest
from proact.records import State
from proact.registry import Registry

SHOWN = 8
"""Names that an error message lists."""


class Placed(NamedTuple):
    """A state, its place among the states of its domain in the file, and how often it came before."""

    state: State
    place: int
    replicate: int = 0


def read_states(
    path: Path, domain: str | None = None, start: int = 0, end: int | None = None, *, domains: Registry[Any]
) -> Iterator[State]:
    """The states of a file. A state without an id is named by its content, one without a domain gets `domain`.

    Raises InputError naming the line for what is no state, for a domain that is missing or, where it may be played,
    unknown, and for an id that is there twice.
    """
    seen: dict[str, int] = {}
    for line in jsonl.lines(path, start, end):
        state = jsonl.decode(line, State, path, defaults={"id": "", "domain": domain or ""})
        if not state.domain:
            raise InputError(path, "is missing; give it in the file or with --domain", line=line.number, field="domain")
        if domain in (None, state.domain) and state.domain not in domains:
            raise InputError(path, domains.unknown(state.domain), line=line.number, field="domain")
        if not state.query.strip():
            raise InputError(path, "is empty", line=line.number, field="query")
        if not state.id:
            state = msgspec.structs.replace(state, id=f"state-{digest(state)}")
        if state.id in seen:
            raise InputError(path, f"{state.id!r} is already on line {seen[state.id]}", line=line.number, field="id")
        seen[state.id] = line.number
        yield state


def select(
    states: Iterator[State], domain: str | None, split: str | None, skip: int, count: int | None, *, repeat: bool
) -> list[Placed]:
    """The states to play, without the first `skip` of those that fit. More than there are is refused, unless they may
    be repeated as further replicates."""
    places: dict[str, int] = {}
    splits: dict[str, None] = {}
    fitting: list[Placed] = []
    for state in states:
        splits |= {state.split: None} if state.split else {}
        place = places.setdefault(state.domain, 0)
        places[state.domain] += 1
        if domain in (None, state.domain) and split in (None, state.split):
            fitting.append(Placed(state, place))
    if not fitting:
        raise UsageError(_nothing(domain, split, list(places), list(splits)))
    if skip >= len(fitting):
        raise UsageError(f"--skip {skip} leaves none of the {len(fitting)} states there are")
    fitting = fitting[skip:]
    if count is None or count <= len(fitting):
        return fitting[:count]
    if not repeat:
        raise UsageError(
            f"--n-states {count} is more than the {len(fitting)} states there are; --repeat plays them again"
        )
    return [fitting[index % len(fitting)]._replace(replicate=index // len(fitting)) for index in range(count)]


def _nothing(domain: str | None, split: str | None, domains: list[str], splits: list[str]) -> str:
    """What a data set has no state of, and what it has instead."""
    wanted = [f"domain {domain}" if domain else "", f"split {split}" if split else ""]
    lacking = f"the data set holds no state of {' and '.join(filter(None, wanted)) or 'any kind'}"
    if not domains:
        return lacking
    has = f"split {_named(splits)}" if splits else "no split"
    return f"{lacking}; it has domain {_named(domains)} and {has}"


def _named(names: list[str]) -> str:
    """Some names out of a file, which may hold line breaks and much else."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
