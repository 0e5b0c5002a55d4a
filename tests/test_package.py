"""The wheel that is built from this tree works in an empty folder: prompts, personas and seed tasks ship with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support import REPOSITORY, Cli, read_lines, succeeded

SHIPPED = ("proact", "prompts", "data", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unpacked wheel."""
    tree, unpacked = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("unpacked")
    for name in SHIPPED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    (tree / "data/seeds/mine.jsonl").write_text("{}\n")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    done = subprocess.run(build, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = (tree / "dist").glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(unpacked)
    return unpacked


def test_what_is_in_the_wheel(wheel: Path) -> None:
    names = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    shipped = {name.partition("/_files/")[2] for name in names if "/_files/" in name}
    prompts = {f"prompts/{path.name}" for path in (REPOSITORY / "prompts").iterdir()}
    assert shipped == {*prompts, "data/personas.jsonl", "data/seeds/tasks.jsonl"}
    page = ("page.html", "matrix.html", "style.css", "browser.js")
    assert {f"proact/report/{name}" for name in page} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "data/", "examples/"))]


def test_it_runs_from_the_wheel_in_an_empty_folder(fresh_cli: Cli, wheel: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    where = [sys.executable, "-c", "import proact; print(proact.__file__)"]
    done = subprocess.run(where, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(wheel / "proact/__init__.py")
    assert not list(Path().iterdir())
    succeeded(fresh_cli("generate", "--mode", "synthetic", "--n-states", 2, "--out", "a.jsonl", PYTHONPATH=str(wheel)))
    assert len(read_lines("a.jsonl")) == 6
    command = ("generate", "--mode", "dataset", "--model", "synthetic:", "--n-states", 4, "--out", "b.jsonl")
    succeeded(fresh_cli(*command, PYTHONPATH=str(wheel)))
    assert len(read_lines("b.jsonl")) == 12
    succeeded(fresh_cli("reward", "--trajectories", "b.jsonl", PYTHONPATH=str(wheel)))
