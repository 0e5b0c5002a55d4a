"""On the build machine a skipped test fails the run, unless the hardware or the real data are not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import REPOSITORY

SKIPS = """
import pytest

def test_one():
    pytest.skip({reason!r})

@pytest.mark.shared
def test_two():
    pass
"""


@pytest.mark.parametrize(
    ("reason", "environment", "code"),
    [
        ("no time", {"CI": "true", "PROACT_SHARED": "x"}, 1),
        ("hardware: no accelerator", {"CI": "true", "PROACT_SHARED": "x"}, 0),
        ("hardware: no accelerator", {"CI": "true", "PROACT_SHARED": ""}, 0),
        ("no time", {"CI": "", "PROACT_SHARED": ""}, 0),
    ],
)
def test_skips(folder: Path, reason: str, environment: dict[str, str], code: int) -> None:
    for name in ("conftest.py", "support.py"):
        shutil.copy(REPOSITORY / "tests" / name, folder / name)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = shared: x\n")
    (folder / "test_skipping.py").write_text(SKIPS.format(reason=reason))
    command = [sys.executable, "-m", "pytest", "-q", "--numprocesses", "1", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout
    assert ("skipped where nothing may be skipped" in done.stdout) == bool(code)
