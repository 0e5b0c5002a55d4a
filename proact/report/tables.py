"""A result as the rows and sentences that a page or a terminal shows."""

from __future__ import annotations

from typing import Any

from proact.metrics.base import METRICS

LABELS = {
    "avg_user_tokens": "User words",
    "avg_agent_tokens": "Assistant words",
    "avg_total_tokens": "Words of both",
    "avg_interrupt_cost": "Interruption cost",
    "avg_turns_to_success": "Turns to success",
}


def number(value: float | None, unit: str = "") -> str:
    """A value for people: shares in percent, other numbers with as many digits as say something."""
    if value is None:
        return "–"
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3
    text = f"{100 * value:.1f} %" if unit == "share" else f"{value:,.{digits}f}"
    return text.replace("-", "−")


def ends(metric: dict[str, Any]) -> str:
    """The interval of a metric; empty when there is none."""
    low, high, unit = metric["ci_low"], metric["ci_high"], metric["unit"]
    if low is None:
        return ""
    return f"{number(low, unit).removesuffix(' %')} to {number(high, unit)}"


def figure(found: dict[str, Any]) -> str:
    """A figure of the diagnosis with its interval."""
    if found["mean"] is None or found["low"] is None:
        return number(found["mean"])
    return f"{number(found['mean'])} ({number(found['low'])} to {number(found['high'])})"


def p_value(p: float | None) -> str:
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def comparison_rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per measured metric: a cell per method, the finding, and the pairs behind it."""
    names = [name for name in METRICS if name not in result["not_measured"]]
    extra = {name for one in result["per_method"].values() for name in one["metrics"]} - {*METRICS}
    return [_row(result, name) for name in [*names, *sorted(extra)]]


def _row(result: dict[str, Any], name: str) -> dict[str, Any]:
    entry = result["comparison"].get(name)
    there = {method: result["per_method"][method]["metrics"].get(name) for method in result["methods"]}
    shown = next(metric for metric in there.values() if metric)
    told = finding(entry) if entry and len(result["methods"]) > 1 else ""
    best = {entry["best"], *entry["equal_best"]} if entry and told not in ("", "identical") else set()
    cells = [
        None
        if metric is None
        else {
            "mean": number(metric["mean"], metric["unit"]),
            "ends": ends(metric),
            "best": method in best,
            "counts": counts(metric),
            "n": metric["n"],
        }
        for method, metric in there.items()
    ]
    return {
        "name": name,
        "meaning": METRICS[name].meaning if name in METRICS else "",
        "unit": shown["unit"],
        "up": shown["higher_is_better"],
        "cells": cells,
        "finding": told,
        "tasks": entry["tasks"] if entry else None,
        "pairs": [_pair(duel, shown["unit"]) for duel in entry["pairs"]] if entry else [],
    }


def counts(metric: dict[str, Any]) -> str:
    """How many conversations are in a mean, and how many are not."""
    parts = [f"n {metric['n']}"]
    if metric["missing"]:
        parts.append(f"{metric['missing']} missing")
    if metric["not_applicable"]:
        parts.append(f"{metric['not_applicable']} n/a")
    return " · ".join(parts)


def finding(entry: dict[str, Any]) -> str:
    """What may be concluded: a best method, a tie, or nothing."""
    if entry["best_value"] is None:
        return "nothing to compare"
    if all(duel["verdict"] == "identical" for duel in entry["pairs"]):
        return "identical"
    best = entry["best"] or " = ".join(entry["equal_best"])
    near = entry["not_told_apart"]
    verb = "is" if len(entry["equal_best"]) < 2 else "are"
    if not near:
        return f"{best} {verb} best"
    return f"{best} {'leads' if verb == 'is' else 'lead'}, not told apart from {', '.join(near)}"


def _pair(duel: dict[str, Any], unit: str) -> dict[str, str]:
    low, high = duel["ci_low"], duel["ci_high"]
    return {
        "who": f"{duel['first']} − {duel['second']}",
        "difference": number(duel["difference"], unit),
        "ends": "" if low is None else f"{number(low, unit).removesuffix(' %')} to {number(high, unit)}",
        "n": f"{duel['n']}",
        "test": duel["test"],
        "p": p_value(duel["p"]),
        "holm": p_value(duel["p_holm"]),
        "detectable": number(duel["detectable"], unit),
        "verdict": duel["verdict"],
    }


def summary(result: dict[str, Any]) -> list[str]:
    """The result in sentences, in the order in which a reader asks."""
    points = result["pareto"]
    said = []
    if len(result["methods"]) > 1:
        for name in ("task_success_rate", "avg_interrupt_cost", "avg_reward"):
            if entry := result["comparison"].get(name):
                arrow = "higher" if entry["higher_is_better"] else "lower"
                said.append(f"{label(name)} ({arrow} is better): {finding(entry)}, on {entry['tasks']} shared tasks.")
    front = [point["method"] for point in points if point["on_front"]]
    beaten = [point["method"] for point in points if not point["on_front"]]
    if len(points) > 1:
        said.append(f"On the front of success against interruption: {', '.join(front)}.")
    if beaten:
        verb = "is" if len(beaten) == 1 else "are"
        said.append(f"{', '.join(beaten)} {verb} dominated: another method succeeds as often and interrupts less.")
    return said


def label(name: str) -> str:
    """The name of a metric as words."""
    if name in LABELS:
        return LABELS[name]
    return name.removeprefix("avg_").replace("_", " ").capitalize()


def agreement(found: dict[str, Any]) -> list[tuple[str, str]]:
    """What is known of a judge, as names and values; the trivial baselines stand beside its accuracy."""
    rows = [("subjects with a gold label", f"{found['n']}")] if "n" in found else []
    if found.get("not_applicable"):
        rows.append(("of which not comparable", f"{found['not_applicable']}"))
    if accuracy := found.get("accuracy"):
        rows.append(("accuracy", _with_ends(accuracy, "share")))
        rows += [(f"accuracy of {name}", _with_ends(share, "share")) for name, share in found["baselines"].items()]
    for name, title in (
        ("kappa", "Cohen’s kappa"),
        ("alpha", "Krippendorff’s alpha"),
        ("alpha_interval_scale", "Krippendorff’s alpha of scores"),
        ("retest", "alpha between repeats"),
    ):
        if found.get(name):
            rows.append((title, _with_ends(found[name])))
    if found.get("order_pairs"):
        rows.append(("orders two of a group as people do", number(found["order_accuracy"], "share")))
        rows.append(("the longer one first would", number(found["order_longest"], "share")))
    if curve := found.get("risk_coverage"):
        half = next(point for point in curve if point["coverage"] >= 0.5)
        share = f"surest {number(half['coverage'], 'share')}"
        rows.append(
            (
                f"accuracy of the {share} (confidence from {number(half['threshold'])})",
                number(half["accuracy"], "share"),
            )
        )
    if "ece" in found:
        rows.append(("expected calibration error", number(found["ece"])))
        rows.append((f"does tau {found['gate']['tau']} help?", gate(found["gate"])))
    return rows


def gate(found: dict[str, Any]) -> str:
    """What the confidence threshold does, in a sentence."""
    if not found["held_back"]:
        return "it holds nothing back"
    if not found["kept"]:
        return "it holds everything back"
    kept, held = found["accuracy_kept"]["mean"], found["accuracy_held_back"]["mean"]
    shares = f"{number(kept, 'share')} right above it, {number(held, 'share')} below (p {p_value(found['p'])})"
    return ("yes: " if found["p"] < 0.05 and kept > held else "not shown: ") + shares


def ask_rows(policies: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """Ask rates: of all decisions, by uncertainty, and by persona; a cell per method."""
    rows = [("all: share of questions", [one["ask_rate"] for one in policies.values()])]
    for field, title in (("ask_rate_by_uncertainty", "uncertainty"), ("ask_rate_by_persona", "persona")):
        names = sorted({name for one in policies.values() for name in one[field]})
        rows += [(f"{title} {name}", [one[field].get(name) for one in policies.values()]) for name in names]
    return rows


def settings_rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Which files, models, policies and specs a result was made of."""
    settings, rows = result["settings"], []
    rows.append(
        ("files", ", ".join(path + (f" as {method}" if method else "") for path, method in settings["sources"]))
    )
    for name in ("rewards", "verdicts", "gold", "pairs", "profiles", "problems"):
        if value := settings[name]:
            rows.append((name, ", ".join(value) if isinstance(value, list) else value))
    for method, facts in result["facts"].items():
        known = [
            f"{kind.replace('_', ' ')} {', '.join(some)}" for kind, some in facts.items() if isinstance(some, list)
        ]
        rows.append((method, "; ".join(known)))
    for judge, models in result["judges"].items():
        rows.append((f"judge {judge}", ", ".join(models) or "no model"))
    rows.append(("reward spec", ", ".join(result["reward_specs"]) or "none"))
    rows.append(("tau", f"{settings['tau']}"))
    rows.append(
        ("intervals", "95 %: t over task means, Wilson for rates" if settings["interval"] == "auto" else "bootstrap")
    )
    return rows


def _with_ends(share: dict[str, Any], unit: str = "") -> str:
    mean, low, high = (number(share[name], unit) for name in ("mean", "low", "high"))
    return mean if share["low"] is None else f"{mean} ({low.removesuffix(' %')} to {high})"
