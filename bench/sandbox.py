"""What scoring a program costs: proact beside evalplus, `python file.py` and two floors, on the same MBPP references.

    python bench/sandbox.py --mbpp mbpp.jsonl            CPU ms per program and programs per second, interleaved rounds
    python bench/sandbox.py --mbpp mbpp.jsonl --hostile  2,000 programs with endless loops, memory bombs and fork bombs

CPU time is that of the whole process tree, judge and supervisor included. The data does not ship: MBPP is
google-research's mbpp.jsonl. evalplus is installed from PyPI into a virtual environment of its own at first use.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proact.sandbox import Limits, Program, Sandbox

SLOW = "123"
TICKS = os.sysconf("SC_CLK_TCK")
Arm = Callable[[list["Task"]], int]


@dataclass(frozen=True)
class Task:
    """One reference solution, also in the form that evalplus takes."""

    program: Program
    entry: str
    inputs: str
    expected: str


def say(text: str) -> None:
    """One line of the report."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tasks(path: Path) -> list[Task]:
    """The MBPP tasks whose tests are plain calls with literal results, without the one that computes for seconds."""
    found = []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        parts = [_call(test) for test in row["test_list"]]
        whole = [part for part in parts if part]
        if len(whole) == len(parts) and not row["test_setup_code"] and str(row["task_id"]) != SLOW:
            program = Program(id=str(row["task_id"]), code=row["code"], tests=tuple(row["test_list"]))
            inputs = "[" + ", ".join(f"[{given}]" for _, given, _ in whole) + "]"
            expected = "[" + ", ".join(result for _, _, result in whole) + "]"
            found.append(Task(program, whole[0][0], inputs, expected))
    return found


def _call(test: str) -> tuple[str, str, str] | None:
    match ast.parse(test).body[0]:
        case ast.Assert(test=ast.Compare(left=ast.Call(func=ast.Name(id=name), args=args), comparators=[result])):
            try:
                ast.literal_eval(result)
                for argument in args:
                    ast.literal_eval(argument)
            except ValueError:
                return None
            return name, "".join(f"{ast.unparse(argument)}, " for argument in args), ast.unparse(result)
    return None


def tree_cpu() -> float:
    """CPU seconds of this process and everything below it, dead or alive."""
    parents, spent = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry)] = int(fields[1])
            spent[int(entry)] = sum(map(int, fields[11:15])) / TICKS
    own = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in own} - own:
        own |= more
    return sum(spent.get(pid, 0.0) for pid in own)


def in_process(batch: list[Task]) -> int:
    """The floor of computing: no isolation at all."""
    for task in batch:
        namespace: dict[str, object] = {"__name__": "candidate"}
        exec(task.program.code or "", namespace)
        for test in task.program.tests:
            exec(test, namespace)
    return len(batch)


def fork_and_exit(batch: list[Task]) -> int:
    """The floor of a process per program."""
    for _ in batch:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    return len(batch)


def python_file(workers: int) -> Arm:
    """An interpreter per program, its exit code the verdict."""

    def passes(task: Task) -> bool:
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write("\n".join([task.program.code or "", *task.program.tests]))
            file.flush()
            return subprocess.run([sys.executable, file.name], capture_output=True, check=False).returncode == 0

    def arm(batch: list[Task]) -> int:
        with ThreadPoolExecutor(workers) as pool:
            return sum(pool.map(passes, batch))

    return arm


@contextmanager
def evalplus(folder: Path, workers: int) -> Iterator[Arm]:
    """evalplus in its own environment and process."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "evalplus"], check=True)
    runner = Path(__file__).with_name("evalplus_runner.py")
    with subprocess.Popen(
        [python, runner, str(workers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def arm(batch: list[Task]) -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            job = [
                {"code": t.program.code, "entry": t.entry, "inputs": t.inputs, "expected": t.expected} for t in batch
            ]
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            return sum(json.loads(process.stdout.readline()))

        yield arm
        assert process.stdin is not None
        process.stdin.close()


def one_a_fork(sandbox: Sandbox, workers: int) -> Arm:
    """proact, a child per program."""

    def arm(batch: list[Task]) -> int:
        with ThreadPoolExecutor(workers) as pool:
            return sum(result.status == "pass" for result in pool.map(sandbox.run, [task.program for task in batch]))

    return arm


def batched(sandbox: Sandbox) -> Arm:
    """proact, a child per 16 programs that leave nothing behind."""
    return lambda batch: sum(r.status == "pass" for r in sandbox.run_many(task.program for task in batch))


def compare(arms: dict[str, Arm], programs: list[Task], rounds: int) -> None:
    """Run the arms in turn, round after round, and print the medians."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    passed: Counter[str] = Counter()
    for arm in arms.values():
        arm(programs[:32])
    share = len(programs) // rounds
    for turn in range(rounds):
        part = programs[turn * share : (turn + 1) * share]
        for name, arm in arms.items():
            cpu, started = tree_cpu(), time.perf_counter()
            passed[name] += arm(part)
            wall = time.perf_counter() - started
            figures[name].append(((tree_cpu() - cpu) / len(part) * 1000, len(part) / wall))
    base = statistics.median(cpu for cpu, _ in figures["evalplus"]) if "evalplus" in figures else 0.0
    say(f"{len(programs)} programs, {rounds} rounds; median (lowest to highest)")
    say(f"{'runner':38} {'CPU ms/program':>22} {'programs/s':>12} {'of evalplus':>12} {'passed':>8}")
    for name, rows in figures.items():
        costs = sorted(cpu for cpu, _ in rows)
        cost, speed = statistics.median(costs), statistics.median(rate for _, rate in rows)
        ratio = f"{cost / base:.2f}" if base else "-"
        spread = f"{cost:.2f} ({costs[0]:.2f} to {costs[-1]:.2f})"
        say(f"{name:38} {spread:>22} {speed:12.0f} {ratio:>12} {passed[name]:>8}")


HOSTILE = {
    "endless loop": (0.03, "while True: pass"),
    "memory bomb": (0.03, "held = []\nwhile True: held.append(bytearray(64 << 20))"),
    "fork bomb": (0.01, "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
}


def hostile(programs: list[Task], count: int, workers: int) -> None:
    """Programs of which some never end, fill the memory or fork without end, at a limit of two seconds."""
    mixed = [task.program for task in programs]
    mixed = [mixed[at % len(mixed)] for at in range(count)]
    kinds = ["reference"] * count
    at = 0
    for kind, (part, body) in HOSTILE.items():
        for _ in range(int(part * count)):
            at = (at + 997) % count
            while kinds[at] != "reference":
                at = (at + 1) % count
            kinds[at] = kind
            code = "def solve(x):\n    " + body.replace("\n", "\n    ")
            mixed[at] = Program(id=f"{kind} {at}", code=code, tests=("assert solve(1) == 1",))
    limits = Limits(cpu_seconds=2.0)
    mixed = [Program(id=p.id, code=p.code, tests=p.tests, limits=limits) for p in mixed]
    outcomes: Counter[tuple[str, str]] = Counter()
    sizes, seconds = [], 0.0
    own = tempfile.tempdir = tempfile.mkdtemp(prefix="bench-")
    started, used = time.perf_counter(), tree_cpu()
    with Sandbox(workers) as sandbox:
        for done, result in enumerate(sandbox.run_many(mixed)):
            outcomes[kinds[done], result.status] += 1
            seconds += result.cpu_seconds if result.status in ("timeout", "memory") else 0.0
            if done % (count // 10) == 0:
                sizes.append(resident(sandbox.supervisor))
        below, used = working_below(own), tree_cpu() - used
    wall = time.perf_counter() - started
    say(f"{count} programs in {wall:.1f} s with {workers} workers; CPU time of all processes {used:.1f} s")
    say(f"of it {seconds:.1f} s in last runs of programs that met a limit; a batch that meets one stops after 0.3 s")
    for (kind, status), number in sorted(outcomes.items()):
        say(f"  {kind:14} {status:10} {number}")
    say(f"supervisor resident KiB over the run: {sizes}")
    say(f"processes during the run {below}, left {working_below(own)}; files left {len(os.listdir(own))}")
    os.rmdir(own)


def resident(pid: int) -> int:
    """A process's resident memory in KiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def working_below(folder: str) -> int:
    """The number of processes that were started with this folder, whoever their parent is by now."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        found += f"{folder}/".encode() in text
    return found


def main() -> None:
    """Read the options and run what they ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mbpp", type=Path, required=True)
    parser.add_argument("--count", type=int, default=900)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--without-evalplus", action="store_true")
    parser.add_argument("--evalplus", type=Path, default=Path(tempfile.gettempdir()) / "proact-bench" / "evalplus")
    options = parser.parse_args()
    programs = tasks(options.mbpp)
    if options.hostile:
        hostile(programs, 2000 if options.count == 900 else options.count, options.workers)
        return
    with Sandbox(options.workers) as sandbox:
        arms: dict[str, Arm] = {"in-process exec (floor)": in_process, "fork and exit (floor)": fork_and_exit}
        arms["proact, one program a fork"] = one_a_fork(sandbox, options.workers)
        arms["proact, batched"] = batched(sandbox)
        arms["python file.py"] = python_file(options.workers)
        if options.without_evalplus:
            compare(arms, programs[: options.count], options.rounds)
            return
        with evalplus(options.evalplus, options.workers) as arm:
            compare({**arms, "evalplus": arm}, programs[: options.count], options.rounds)


if __name__ == "__main__":
    main()
