"""Runs candidate programs against their tests, fast, and so that a program cannot fake its verdict.

Two tiers, chosen by the shape of a task's tests and never by a candidate:

`split`: the tests and everything that they compare with stay in a judge process; the candidate's process gets calls and
returns data. Whatever it does to itself, only computing the right values passes. Where a test compares two things that
both come from the candidate, the candidate decides how that comparison ends, as it does in any runner.

`in-process`: unittest classes, pytest-style functions and tests that look into the candidate run in its process, in
the same jail. This tier cannot promise that a verdict is earned: code in the same address space can, with enough
effort, read the tests and what they expect. Hidden must-fail tests, snapshots and a screen make forging hard and
visible; a pass that looks forged is `tampered` or `suspect`, not `pass`.

Linux is confined by Landlock and seccomp; `isolation="rlimits"` does without them and keeps no program from reading
files or from the network. Even in the jail a program can see whether a file exists and how long it is. The setup runs
on the candidate's side, so expected values belong in the tests.
"""

from proact.sandbox.program import Limits, Program, Result
from proact.sandbox.sandbox import Isolation, Sandbox, run, run_many

__all__ = ["Isolation", "Limits", "Program", "Result", "Sandbox", "run", "run_many"]
