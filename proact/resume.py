"""What an output file already holds, so that running a stage again finishes it instead of repeating it."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from proact import jsonl, sidecar
from proact.errors import InputError, SpecConflict
from proact.keys import digest64


class Mark(msgspec.Struct):
    """The fields of a line that tell which job wrote it, and under which settings."""

    job: str
    terminal: bool = True
    spec: str = ""
    input_hash: str = ""


class Finished:
    """Which jobs a file holds; `size` is where its last whole job ends.

    Kept as sorted 64-bit hashes: at a million jobs a set of strings would take 140 MB, two arrays take 16.
    """

    def __init__(self, path: Path) -> None:
        """Raises InputError when the file holds a line that no stage wrote: it is not cut, but left alone."""
        jobs, marks = array("Q"), array("Q")
        self.size = 0
        for line, mark in _marks(path):
            if mark.terminal:
                jobs.append(digest64(mark.job))
                marks.append(_hash(mark.job, mark.spec, mark.input_hash))
                self.size = line.end
        self._jobs, self._marks = array("Q", sorted(jobs)), array("Q", sorted(marks))

    def knows(self, key: str) -> bool:
        """Whether the job is there under any settings."""
        return _within(self._jobs, digest64(key))

    def has(self, key: str, spec: str, input_hash: str) -> bool:
        """Whether the job is there under these settings and this input."""
        return _within(self._marks, _hash(key, spec, input_hash))


def conflict(out: Path, key: str, spec: str, body: dict[str, Any]) -> SpecConflict:
    """The error for a job that is there under other settings; it shows which."""
    old = next(mark for _, mark in _marks(out) if mark.job == key)
    if old.spec == spec:
        difference = "the input row is another one"
    else:
        difference = _difference(sidecar.read_meta(out).get("specs", {}).get(old.spec, {}), body)
    return SpecConflict(
        f"{out} already holds {key}, made with other settings ({difference}); "
        "choose another --out, or --overwrite to replace those lines"
    )


def drop(out: Path, stale: set[str]) -> None:
    """Rewrite a file without the lines of these jobs."""
    with jsonl.replace(out) as file:
        for line, mark in _marks(out):
            if mark.job not in stale:
                file.write(line.raw + b"\n")


def _marks(path: Path) -> Iterator[tuple[jsonl.Line, Mark]]:
    """The whole lines of an output. A torn one can only be the last: everything before it was one write per job.

    Raises InputError for any other line, so that a file which a paid stage did not write is never cut.
    """
    decoder = msgspec.json.Decoder(Mark)
    for line in jsonl.lines(path):
        try:
            mark = decoder.decode(line.raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if _is_torn(line, error):
                return
            message = "is no line of a generate or judge output, and is not overwritten; choose another --out"
            raise InputError(path, message, line=line.number) from None
        if not line.whole:
            return
        yield line, mark


def _is_torn(line: jsonl.Line, error: Exception) -> bool:
    # After a power cut the end of a file may be zeros.
    begun = line.raw.strip(b"\0")[:1] in (b"", b"{")
    return begun and not line.whole and not isinstance(error, msgspec.ValidationError)


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return "; ".join(f"{name}: {old.get(name)!r} -> {new.get(name)!r}" for name in changed) or "unknown"


def _hash(key: str, spec: str, input_hash: str) -> int:
    return digest64(f"{key}\0{spec}\0{input_hash}")


def _within(hashes: array[int], value: int) -> bool:
    at = bisect_left(hashes, value)
    return at < len(hashes) and hashes[at] == value
