"""world: the exact values of a synthetic world. Computed anew for every price."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from proact import console
from proact.errors import UsageError
from proact.worlds import WORLDS

ALPHAS = [step / 20 for step in range(21)]


def world(name: str, alpha: float, split: str | None = None) -> dict[str, Any]:
    """The table of a world under a price, over all starts or a split's.

    Raises UsageError for an unknown name, and for a price that is not finite.
    """
    if not math.isfinite(alpha):
        raise UsageError(f"--alpha {alpha}: expected a finite number")
    return {"world": name, "split": split, **WORLDS[name].table(alpha, split), "exit_code": 0}


def plot(name: str, path: Path, split: str | None = None) -> None:
    """Draw over alpha how often the best policy asks, and the one that signs of single pairs train.

    Raises UsageError for a form of picture that there is not, and without matplotlib.
    """
    from proact import plots

    plots.form(path)
    plots.needed(avoidable=False)
    tables = [WORLDS[name].table(alpha, split) for alpha in ALPHAS]
    curves = {
        "optimal policy": [table["ask_rate"] for table in tables],
        "trained on signs of single pairs": [table["single_pair_ask_rate"] for table in tables],
    }
    plots.save(plots.alpha_sweep(ALPHAS, curves), path)


def show(report: dict[str, Any]) -> None:
    rounds = report["policy_iteration"]
    rows = [
        ["optimal policy (V*)", report["optimal"]],
        ["never asks", report["never"]],
        ["always asks", report["always"]],
        *([f"policy iteration, round {index}", worth] for index, worth in enumerate(rounds, start=1)),
        ["trained on signs of single pairs", report["single_pair_sign"]],
        ["ask rate of the optimal policy at the start", report["ask_rate"]],
        ["ask rate of the one trained on signs", report["single_pair_ask_rate"]],
        ["EVPI", report["evpi"]],
        ["gross value of one question", report["gross_voi"]],
        ["net value of one question", report["net_voi"]],
    ]
    part = f" of {report['split']}" if report["split"] else ""
    title = f"{report['world']}, {len(report['starts'])} starts{part}, alpha {report['alpha']:g}"
    console.table(title, ["", "value"], [[name, f"{worth:.4f}"] for name, worth in rows])
