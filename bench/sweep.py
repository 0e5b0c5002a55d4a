"""How long `proact sweep` takes and how much memory: 10,000 trajectories under 200 weightings, files included.

Run `python bench/sweep.py [TRAJECTORIES] [WEIGHTINGS]`. Target: under 20 s and 500 MB. Last figures, on 2 cores:
10,000 x 200 in 1.2 s of CPU and 151 MB; 100,000 x 200 in 11 s and 593 MB.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple


class Cost(NamedTuple):
    """What one run took."""

    wall: float
    cpu: float
    megabytes: float


def files(folder: Path, count: int) -> tuple[Path, Path]:
    """Trajectories in groups of two with invented outcomes, and their rewards."""
    chance = random.Random(0)
    lines, rewards = folder / "t.jsonl", folder / "r.jsonl"
    with lines.open("w") as one, rewards.open("w") as other:
        for number in range(count):
            line, reward = _rows(number, chance)
            one.write(json.dumps(line) + "\n")
            other.write(json.dumps(reward) + "\n")
    return lines, rewards


def _rows(number: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    asks, group = number % 2, f"state-{number // 2}/pat/m/0/t0"
    meta = {"reject_signal": int(asks and chance.random() < 0.3), "answered_clarification": asks, "satisfaction": 0.5}
    text = "Which order should the list be sorted in, and what happens to equal elements? " * 4
    name = f"{group}/{'other' if asks else 'mainline'}"
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": text * 2}]
    line = {
        "id": name,
        "group": group,
        "conversation": group,
        "state": {"id": f"state-{number // 2}", "domain": "coding", "query": text},
        "action": "Clarify" if asks else "Execute",
        "assistant_msg": text * 2,
        "persona": {"name": "pat"},
        "user_reaction": {"user_reply": "Go on.", "meta": meta},
        "is_mainline": not asks,
        "branch": "other" if asks else "mainline",
        "messages": messages,
        "at": 1,
        "rollout": [{"at": 1, "action": "Clarify" if asks else "Execute", "meta": meta}],
        "method": "m",
    }
    counts = {"n_questions": asks * chance.randrange(1, 4), "rejects": meta["reject_signal"], "off_topic": 0}
    reward = {
        "id": name,
        "group": group,
        "components": {**counts, "long_turns": 0, "n_clarify": asks, "answered": asks},
        "task_score": chance.randrange(4) / 3,
        "status": "scored",
        "interrupt_cost": 0.1,
        "total": 0.1,
        "spec": "default@1",
    }
    return line, reward


def measure(trajectories: int, weightings: int) -> Cost:
    """Run the command in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines, rewards = files(folder, trajectories)
        grid = ["--alpha", f"0:{(weightings // 10 - 1) / 10}:0.1", "--w-reject", "0:1.8:0.2"]
        command = [sys.executable, "-m", "proact", "sweep", "--trajectories", lines, "--rewards", rewards, *grid]
        started = time.monotonic()
        process = subprocess.Popen([*map(str, command), "--out", str(folder / "s.jsonl")], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"the sweep ended with {process.returncode}")
        with (folder / "s.jsonl").open("rb") as swept:
            found = sum(1 for _ in swept)
        if found != weightings:
            raise SystemExit(f"{found} weightings in place of {weightings}")
        return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    trajectories, weightings = (int(value) for value in [*sys.argv[1:], "10000", "200"][:2])
    cost = measure(trajectories, weightings)
    sys.stdout.write(
        f"{trajectories} trajectories x {weightings} weightings: {cost.wall:.1f} s wall, {cost.cpu:.1f} s CPU, "
        f"{cost.megabytes:.0f} MB\n"
    )


if __name__ == "__main__":
    main()
