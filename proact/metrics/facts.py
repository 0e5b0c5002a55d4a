"""What a result rests on: models, policies, tokens, and what a reader must be told before anything else."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from proact.labels import STAND_INS, caveat
from proact.metrics.subject import Subject
from proact.records import Trajectory
from proact.stats.intervals import FEW


class Facts:
    """Collects, per method, who answered, who played the user, and what was spent."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._tokens: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def saw(self, line: Trajectory) -> None:
        names, tokens = self._names[line.method], self._tokens[line.method]
        for kind, name in (
            ("model", line.model),
            ("user_model", line.user_model),
            ("policy", line.policy),
            ("continuation", line.continuation),
            ("spec", line.spec),
            ("seed", f"{line.seed}"),
        ):
            if name:
                names[kind].add(name)
        tokens["calls"] += line.usage.calls
        tokens["prompt_tokens"] += line.usage.prompt_tokens
        tokens["completion_tokens"] += line.usage.completion_tokens

    def saw_log(self, subject: Subject) -> None:
        self._names[subject.method]["source"].add("outside log")

    def shown(self, price: tuple[float, float] | None) -> dict[str, Any]:
        """By method. Dollars are null without a price: an unknown price is not zero."""
        found = {}
        for method, names in sorted(self._names.items()):
            tokens = dict(self._tokens[method]) or {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0}
            dollars = None
            if price:
                dollars = (tokens["prompt_tokens"] * price[0] + tokens["completion_tokens"] * price[1]) / 1e6
            found[method] = {kind: sorted(some) for kind, some in names.items()} | tokens | {"dollars": dollars}
        return found


def warnings(result: dict[str, Any]) -> list[str]:
    """What stands above every table: stand-ins, few tasks, and what is missing."""
    found = []
    models = {name for facts in result["facts"].values() for name in facts.get("model", [])}
    if synthetic := sorted(name for name in models if name.startswith(("synthetic:", "scripted:"))):
        found.append(f"{', '.join(synthetic)} is a stand-in, not a language model: nothing here measures one.")
    if embedded := sorted(name for name in models if name.startswith("local:") and name.startswith(STAND_INS)):
        found.append(f"{', '.join(embedded)} is a very small embedded model; its figures say little about larger ones.")
    judges = [model for models in result["judges"].values() for model in models]
    if said := caveat(judges):
        found.append(f"Judged by {said}.")
    if (gold := result["settings"]["gold"]) and not result["agreement"]:
        found.append(f"No verdict is compared with {gold}: no id or no label in it is one that the verdicts have.")
    for kind in result["unmatched"]:
        found.append(f"The {kind} are of other conversations: none belongs to one that is measured here.")
    if (specs := result["reward_specs"]) and not result["weights_known"]:
        found.append(f"No file beside the rewards says what {specs[0]} weighs, so the worth of questions is not shown.")
    if relative := result["relative"]:
        found.append(
            f"{', '.join(relative)} compares only within a group, so rewards with it have no mean over methods."
        )
    tasks = {name: entry["tasks"] for name, entry in result["comparison"].items()}
    if tasks and min(tasks.values()) < FEW:
        few = sum(count < FEW for count in tasks.values())
        found.append(
            f"{few} of {len(tasks)} metrics rest on fewer than {FEW} shared tasks; on skewed values such intervals are "
            "too narrow."
        )
    for path, count in result["failed"].items():
        jobs = f"{count} job{'s' if count != 1 else ''}"
        found.append(f"{jobs} of {path} failed and left no record to measure; the .failures.jsonl beside it says why.")
    if result["missing"]:
        found.append(f"{result['missing']} values are missing; the tables show which, and no mean counts them.")
    return found
