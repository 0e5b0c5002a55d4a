"""audit: runs the exploits that ship with proact, and says whether this machine's sandbox holds against each."""

from __future__ import annotations

from collections import Counter
from typing import Any

from proact import console
from proact.errors import UsageError
from proact.sandbox import Isolation, Program, Sandbox
from proact.sandbox.audit import audit as run_exploits


def audit(what: str, isolation: Isolation) -> dict[str, Any]:
    """Run the set; exit code 1 when an outcome is not the one it must be. Raises UsageError for an unknown subject."""
    if what != "sandbox":
        raise UsageError(f"unknown audit {what!r}; there is: sandbox")
    with Sandbox(isolation=isolation) as sandbox:
        rows = run_exploits(sandbox)
        layers = list(sandbox.run(Program(id="layers", code="def f(): ...", tests=("f()",))).layers)
    outcomes = [
        {
            "name": row.name,
            "kind": row.kind,
            "expected": row.expected,
            "got": row.got,
            "ok": row.ok,
            "seconds": round(row.seconds, 3),
        }
        for row in rows
    ]
    wrong = Counter(row.kind for row in rows if not row.ok)
    return {
        "outcomes": outcomes,
        "programs": len(rows),
        "wrong": dict(wrong),
        "layers": layers,
        "exit_code": 1 if wrong else 0,
    }


def show(report: dict[str, Any]) -> None:
    columns = ["name", "kind", "expected", "got", "seconds"]
    rows = [[*(row[name] for name in columns), "" if row["ok"] else "WRONG"] for row in report["outcomes"]]
    console.table(f"audit of the sandbox, layers: {', '.join(report['layers'])}", [*columns, ""], rows)
    wrong = ", ".join(f"{count} {kind}" for kind, count in report["wrong"].items())
    console.note(
        f"{report['programs']} programs, {f'wrong: {wrong}' if wrong else 'each with the outcome it must get'}"
    )
