"""How long `proact --help` takes, against the interpreter alone (the floor) and the import of typer (the peer).

    python bench/start.py [ROUNDS]

All of them run in turn in every round; the fastest of each counts, since everything else was another process.
"""

from __future__ import annotations

import subprocess
import sys
import time

COMMANDS = {
    "interpreter (floor)": ["-c", "pass"],
    "import typer": ["-c", "import typer.main"],
    "proact --help": ["-m", "proact", "--help"],
}


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    found = [{name: seconds(command) for name, command in COMMANDS.items()} for _ in range(rounds)]
    for name in COMMANDS:
        sys.stdout.write(f"{name:20s} {min(row[name] for row in found):6.3f} s\n")


if __name__ == "__main__":
    main()
