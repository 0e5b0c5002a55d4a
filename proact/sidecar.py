"""What stands beside an output file: why jobs failed, and the bodies of the specs it was made with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from proact import jsonl
from proact.errors import InputError
from proact.records import Failure


def failures_path(out: Path) -> Path:
    return out.parent / f"{out.stem}.failures.jsonl"


def meta_path(out: Path) -> Path:
    return out.parent / f"{out.stem}.meta.json"


class Failures:
    """The jobs of an output that have no record, one line each, and why."""

    def __init__(self, out: Path) -> None:
        self.path = failures_path(out)
        self._file: jsonl.Appender | None = None

    def write(self, failure: Failure) -> None:
        if self._file is None:
            self._file = jsonl.Appender(self.path)
        self._file.write(msgspec.json.encode(failure) + b"\n")

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def by_topic(self) -> dict[str | None, set[str]]:
        """The jobs that failed before, by what their keys hold before the spec."""
        found: dict[str | None, set[str]] = defaultdict(set)
        for line in jsonl.lines(self.path) if self.path.exists() else ():
            if line.whole:
                key = jsonl.decode(line, Failure, self.path).ids[0]
                found[key[: key.rfind("@") + 1]].add(key)
        return found

    def forget(self, resolved: Callable[[str], bool]) -> None:
        """Drop the lines of jobs for which `resolved(key)` holds, and all but the last line of the others."""
        if not self.path.exists():
            return
        last: dict[str, Failure] = {}
        for line in jsonl.lines(self.path):
            if not line.whole:
                # Cut off by a kill; its job is still missing, so it is tried again.
                continue
            failure = jsonl.decode(line, Failure, self.path)
            if not all(resolved(key) for key in failure.ids):
                last[failure.ids[0]] = failure
        if not last:
            self.path.unlink()
            return
        with jsonl.replace(self.path) as file:
            file.writelines(msgspec.json.encode(failure) + b"\n" for failure in last.values())


def failed(outs: Iterable[str]) -> dict[str, int]:
    """How many jobs of each output have no record, for outputs that lack some."""
    paths = {out: failures_path(Path(out)) for out in outs}
    counts = {out: sum(line.whole for line in jsonl.lines(path)) for out, path in paths.items() if path.exists()}
    return {out: count for out, count in counts.items() if count}


def read_meta(out: Path) -> dict[str, Any]:
    """The meta file of an output; empty when there is none."""
    path = meta_path(out)
    if not path.exists():
        return {}
    meta = jsonl.decode_object(jsonl.Line(1, 0, path.read_bytes()), path)
    if not isinstance(meta.get("specs", {}), dict):
        raise InputError(path, "expected an object", field="specs")
    return meta


def write_meta(out: Path, meta: dict[str, Any]) -> None:
    with jsonl.replace(meta_path(out)) as file:
        file.write(msgspec.json.format(msgspec.json.encode(meta, order="sorted"), indent=2) + b"\n")


def note_spec(out: Path, name: str, body: dict[str, Any]) -> None:
    """Keep the body of a spec once, under its hash."""
    meta = read_meta(out)
    specs = meta.setdefault("specs", {})
    if specs.get(name) != body:
        specs[name] = body
        write_meta(out, meta)
