"""The rules that hold the code together: who imports whom, who prints, where chance and errors come from."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import REPOSITORY

FLOORS = [
    "errors labels records keys words text parsing source cache disk",
    "jsonl prompts registry executor sandbox stats plots",
    "render console stage interrupts resume sidecar",
    "llm",
    "training",
    "domains policies users worlds datasets",
    "judges rewards rollout arms scribe metrics report",
    "stages",
    "loops rounds api cli __main__",
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names.split()}
SEPARATE = {5, 7}
"""Floors whose parts never import each other; of the stages, each file is a part."""
HEAVY = "openai httpx httpx2 aiohttp pydantic xllamacpp rich tqdm platformdirs torch transformers trl datasets"
HEAVY_PACKAGES = {*HEAVY.split(), "peft", "gguf", "matplotlib", "numpy", "scipy", "sqlite3", "asyncio"}
PACKAGE = REPOSITORY / "proact"
# Programs that are run against proact, and code that runs in a candidate's process, are not part of it.
APART = (PACKAGE / "sandbox/exploits", PACKAGE / "sandbox/inside")
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if not any(path.is_relative_to(folder) for folder in APART)]


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in FILES:
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text("utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of what is imported anywhere in a tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts(name: str) -> list[str]:
    """`proact.llm.base` or `llm/base.py` as [llm, base]."""
    return [
        part for part in name.removesuffix(".py").replace("/", ".").split(".") if part not in ("proact", "__init__")
    ]


def test_every_module_has_a_floor() -> None:
    assert {parts(name)[0] for name, _ in trees() if parts(name)} <= FLOOR.keys()


def test_imports_only_go_down_the_floors() -> None:
    wrong = []
    for name, tree in trees():
        here = parts(name)
        if not here:
            continue
        for imported in set(imports(tree)):
            there = parts(imported) if imported.startswith("proact.") else []
            if not there or there[0] not in FLOOR:
                continue
            up = FLOOR[there[0]] > FLOOR[here[0]]
            beside = FLOOR[there[0]] == FLOOR[here[0]] in SEPARATE and (
                there[0] != here[0] or (here[0] == "stages" and there[1:2] != here[1:2])
            )
            if up or beside:
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_the_sdk_of_openai_has_one_home() -> None:
    homes = {name for name, tree in trees() if {"openai", "httpx2"} & {found.split(".")[0] for found in imports(tree)}}
    assert homes == {"llm/openai.py"}


def test_starting_the_command_line_imports_nothing_heavy() -> None:
    code = "import proact.cli, sys, json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    bare = "import typer, sys, json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    typer = subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout)) - set(json.loads(typer.stdout))
    assert loaded & HEAVY_PACKAGES == set()


def test_only_the_console_prints() -> None:
    printing = {
        name
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing <= {"console.py"}


def test_chance_is_never_that_of_the_whole_process() -> None:
    found = []
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
                found += [f"{name}: random.{node.attr}"] if node.attr not in ("Random", "SystemRandom") else []
            if isinstance(node, ast.ImportFrom) and node.module == "random":
                found += [f"{name}: {alias.name}" for alias in node.names if alias.name != "Random"]
    assert found == []


def test_only_the_command_line_catches_everything() -> None:
    found = []
    for name, tree in trees():
        for function in ast.walk(tree):
            for node in ast.iter_child_nodes(function):
                if not isinstance(node, ast.ExceptHandler):
                    continue
                caught = "bare" if node.type is None else ast.unparse(node.type)
                if {"bare", "Exception", "BaseException"} & set(caught.strip("()").replace(",", "").split()):
                    found.append(f"{name}: except {caught}")
    assert found == ["cli/__init__.py: except Exception"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_begins_with_a_sentence_about_itself(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert text
    assert text.split("\n\n")[0].rstrip().endswith((".", ":", "?"))
