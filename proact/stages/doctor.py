"""doctor: says what is installed, what is missing, and what to do about it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from proact import __version__, console
from proact.cache import cache_dir
from proact.errors import ProactError
from proact.llm import Models, Options, Request
from proact.prompts import shipped
from proact.sandbox.inside import jail

EXTRAS = {
    "local": ["xllamacpp"],
    "eval": ["numpy", "scipy", "krippendorff", "jinja2"],
    "plot": ["matplotlib"],
    "train": ["torch", "transformers", "trl", "peft", "accelerate", "datasets", "gguf"],
}


class Check(NamedTuple):
    """One thing that was looked at; `ok` is None for what is only worth knowing."""

    name: str
    ok: bool | None
    finding: str


def doctor(model: str | None, options: Options, *, call: bool) -> dict[str, Any]:
    """Look at the machine; with `call`, make one small call to the model."""
    checks = [*_machine(), *_packages(), *_files(), *_keys()]
    if call:
        checks.append(_call(model or "openai:gpt-4o-mini", options))
    failed = any(check.ok is False for check in checks)
    return {"checks": [check._asdict() for check in checks], "exit_code": 1 if failed else 0}


def show(report: dict[str, Any]) -> None:
    marks = {True: "ok", False: "missing", None: "-"}
    rows = [[check["name"], marks[check["ok"]], check["finding"]] for check in report["checks"]]
    console.table("proact doctor", ["what", "", "finding"], rows)


def _machine() -> Iterator[Check]:
    yield Check("proact", True, f"{__version__}, Python {platform.python_version()}")
    system = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores"
    yield Check("system", sys.platform.startswith("linux") or None, system)
    yield Check("sqlite", True, sqlite3.sqlite_version)
    lacking = jail.missing()
    jailed = "Landlock and seccomp confine candidate programs; see proact audit sandbox"
    yield Check(
        "sandbox",
        not lacking,
        f"no {' and no '.join(lacking)}; --isolation rlimits asks for less" if lacking else jailed,
    )


def _packages() -> Iterator[Check]:
    for extra, packages in EXTRAS.items():
        for package in packages:
            try:
                yield Check(f"extra {extra}", True, f"{package} {version(package)}")
            except PackageNotFoundError:
                yield Check(f"extra {extra}", None, f"not installed: pip install 'proact[{extra}]'")


def _files() -> Iterator[Check]:
    for name in ("prompts/coding_clarify.txt", "data/personas.jsonl", "data/seeds/tasks.jsonl"):
        try:
            yield Check(name, True, "own copy of this folder" if shipped(name) == Path(name) else "as shipped")
        except ProactError as error:
            yield Check(name, False, str(error))
    folder = cache_dir()
    parent = next(path for path in [folder, *folder.parents] if path.exists())
    writable = os.access(parent, os.W_OK)
    yield Check("cache", writable, f"{folder}" if writable else f"{folder} cannot be written; set PROACT_CACHE_DIR")
    if importlib.util.find_spec("xllamacpp"):
        from proact.llm import weights

        try:
            yield Check("local:smollm2", True, str(weights.path("smollm2")))
        except ProactError as error:
            yield Check("local:smollm2", None, str(error))


def _keys() -> Iterator[Check]:
    from proact.llm.endpoint import read_dotenv

    read_dotenv(Path(".env"))
    found = "set" if os.environ.get("OPENAI_API_KEY") else "not set; local: and synthetic: need none"
    yield Check("OPENAI_API_KEY", True if found == "set" else None, found)


def _call(name: str, options: Options) -> Check:
    request = Request(messages=[{"role": "user", "content": "Reply with the word ready."}], max_completion_tokens=256)

    async def once() -> str:
        models = Models(options, logged=False)
        try:
            completion = await models.open(name).complete(request)
        finally:
            await models.close()
        return f"replied {completion.text.strip()[:60]!r}, {completion.completion_tokens} tokens"

    try:
        return Check(f"call {name}", True, asyncio.run(once()))
    except ProactError as error:
        return Check(f"call {name}", False, str(error))
