"""The whole diagnosis of a file as data: for the table, for JSON, and for a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from proact.records import Persona
from proact.rewards import breakeven
from proact.rewards.audit import Audit
from proact.rewards.constant import Constancy
from proact.rewards.decisions import decisions
from proact.rewards.pairs import Row
from proact.rewards.specs import Spec
from proact.rewards.worth import breakdown, correlation
from proact.stats.intervals import FEW


def diagnosis(rows: Iterable[Row], spec: Spec) -> dict[str, Any]:
    """What the questions of a file were worth under a spec. `rows` come in the order of their groups."""
    audit, constancy = Audit(), Constancy()
    seen: dict[str, Persona] = {}
    drawn, missing = True, 0

    def watched() -> Iterator[Row]:
        nonlocal drawn, missing
        for row in rows:
            audit.add(row.trajectory)
            seen.setdefault(row.trajectory.persona.name, row.trajectory.persona)
            drawn = drawn and breakeven.specified(row.trajectory.user_model)
            missing += row.reward is None
            yield row

    found = list(decisions(watched(), spec.w_task))
    for decision in found:
        constancy.add(decision)
    parts = breakdown(found)
    gains = breakeven.table(seen.values(), spec) if drawn else []
    report: dict[str, Any] = {
        "spec": spec.label,
        "missing": missing,
        "decisions": len(found),
        "tasks": len({decision.task for decision in found}),
        "break_even": gains,
        "worth": parts,
        "constant_policies": {
            "never asks": parts[0]["figures"]["V Execute"],
            "always asks": parts[0]["figures"]["V Clarify"],
        },
        "constant_policy": constancy.action,
        "gain_of_knowing_the_state": constancy.gain,
        "correlation": correlation(found),
        "simulator": audit.report(),
    }
    return {**report, "findings": list(_findings(report))}


def _findings(report: dict[str, Any]) -> Iterator[str]:
    overall = report["worth"][0]["figures"]
    if action := report["constant_policy"]:
        what = "ask every time" if action == "Clarify" else "never ask"
        yield f"The best policy is constant: {what}. There is nothing to learn here about when to ask."
    hopeless = breakeven.hopeless(report["break_even"])
    if hopeless:
        least = min(filter(None, (row["gains"][hopeless - 1] for row in report["break_even"])), default=None)
        count = {1: "One question", 2: "Two questions", 3: "Three questions"}[hopeless]
        needed = f": task success would have to rise by at least {least:.2f}" if least else ""
        yield f"{count} in a message cannot pay under spec {report['spec']}{needed}."
    leak = overall["leak"]
    if leak["low"] is not None and leak["low"] > 0:
        yield f"A question that asks nothing raises success by {leak['mean']:.2f}: the simulated user leaks."
    audit = report["simulator"]
    for name, what in (("unasked", "reveals facts that were not asked for"), ("invented", "makes up values")):
        if (audit[name]["mean"] or 0) > 0:
            yield f"The simulated user {what} in {audit[name]['mean']:.1%} of its replies."
    for row in audit["patience"]:
        if row["agrees"] is False:
            rate = row["observed"]["mean"]
            yield f"{row['persona']} answers {rate:.0%} of the questions, not the {row['specified']:.0%} specified."
    if not report["tasks"]:
        yield "There is no decision to compare."
    elif report["tasks"] == 1:
        yield "There is only one task: nothing can be said beyond it."
    elif report["tasks"] < FEW:
        yield f"There are only {report['tasks']} tasks: the intervals are too narrow for skewed values."
