"""Runs programs read from stdin and writes their statuses; started by the tests as a user without rights."""

from __future__ import annotations

import json
import os
import sys

from proact.sandbox import Limits, Program, Sandbox


def main() -> None:
    """One JSON list of programs in, one JSON object out."""
    limits = Limits(cpu_seconds=1.0)
    programs = [
        Program(id=row["name"], code=row["code"], tests=tuple(row["tests"]), setup=row["setup"], limits=limits)
        for row in json.load(sys.stdin)
    ]
    with Sandbox(2) as sandbox:
        statuses = {result.id: result.status for result in map(sandbox.run, programs)}
    json.dump({"user": os.getuid(), "statuses": statuses}, sys.stdout)


if __name__ == "__main__":
    main()
