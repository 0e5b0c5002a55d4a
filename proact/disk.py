"""What the disk refuses, in one line."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proact.errors import OutputError

FULL = (errno.ENOSPC, errno.EDQUOT)
OF_RUST = re.compile(r"\(os error (\d+)\)")
OF_TORCH = "inline_container"
"""The file of torch that writes its archives is all that its errors tell of a disk."""


@contextmanager
def writing(path: Path, then: str = "") -> Iterator[None]:
    """Turns what the disk refuses into OutputError, which says `then` what became of the file."""
    try:
        yield
    except OSError as error:
        raise _refused(path, error, then) from error


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """The same around what saves weights: safetensors and torch have errors of their own for a disk."""
    from safetensors import SafetensorError

    try:
        with writing(folder):
            yield
    except SafetensorError as error:
        found = OF_RUST.search(str(error))
        if not found:
            raise
        number = int(found[1])
        raise _refused(folder, OSError(number, os.strerror(number)), "") from error
    except RuntimeError as error:
        if OF_TORCH not in str(error):
            raise
        raise OutputError(f"{folder}: cannot write: torch was stopped in the middle of a file") from error


def _refused(path: Path, error: OSError, then: str) -> OutputError:
    reason = "the disk is full" if error.errno in FULL else (error.strerror or str(error))
    return OutputError(f"{path}: cannot write: {reason}{then}")
