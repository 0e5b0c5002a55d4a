"""Runs commands for the tests: it imports proact once, and every command is a fork of it.

Reads one JSON request a line (arguments, folder, environment, files for stdout and stderr) and writes one exit code a
line. A command is a process of its own as anywhere else; only its imports are already there, and the modules that are
named as arguments.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import sys
import traceback
import warnings
from typing import Any

import aiohttp
import openai
import pydantic
import rich.console
import rich.table
import tqdm

import proact.stages.generate
import proact.stages.reward
import proact.stages.validate
from proact.cli import main

IMPORTED = (aiohttp, openai, pydantic, rich.console, rich.table, tqdm, proact.stages)
SECONDS = 120


def become(request: dict[str, Any]) -> None:
    """Turn this process into the command that was asked for."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, name in ((1, request["out"]), (2, request["err"])):
        os.dup2(os.open(name, flags), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["proact", *request["arguments"]]
    signal.alarm(SECONDS)


def perform() -> int:
    """Run the command and what it left for its end; the interpreter itself need not be taken down."""
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


def serve() -> None:
    gc.freeze()
    for line in sys.stdin.buffer:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
            os._exit(perform())
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in sys.argv[1:]:
            importlib.import_module(module)
    serve()
