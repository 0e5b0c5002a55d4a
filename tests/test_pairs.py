"""Preference pairs: arm means, their spread, weights and thinning, worked by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from rows import line, reward_rows
from support import ASKS, RIGHT, WRONG, Cli, Row, persona, read_lines, state, write_lines

PLUGIN = """
from proact.rewards import components

@components.register("value")
def value(trajectory):
    return trajectory.metadata["value"]
"""


def arm(branch: str, value: float | None, replicate: int = 0, *, group: str = "g", **fields: Any) -> Row:
    """A line that earns exactly `value`: Execute on the mainline and its variant, Clarify on the other branch."""
    action, message = ("Clarify", f"{ASKS} {replicate}") if branch == "other" else ("Execute", f"{branch} {replicate}")
    fields.setdefault("state", state(group))
    turns: list[tuple[str, str, Row]] = [(action, message, {})]
    return {**line(branch, turns, group=group, replicate=replicate, **fields), "value": value}


def paired(cli: Cli, rows: list[Row], *arguments: object) -> list[Row]:
    write_lines("t.jsonl", rows)
    Path("value.py").write_text(PLUGIN)
    worth = ("--component", "value=1", "--w-task", 0, "--alpha", 0, "--plugin", "value.py")
    reward_rows(cli, *worth, *arguments)
    return read_lines("pairs.jsonl")


def meta() -> Row:
    found: Row = json.loads(Path("pairs.meta.json").read_text())
    return found


def test_an_arm_is_its_mean_over_branches_then_over_replicates(cli: Cli) -> None:
    rows = [
        arm("mainline", 1.0), arm("variant", 3.0), arm("other", 1.0),
        arm("mainline", 4.0, 1), arm("other", 1.0, 1),
    ]  # fmt: skip
    (pair,) = paired(cli, rows, "--no-thin")
    # Execute: ((1 + 3) / 2 + 4) / 2 = 3. Clarify: 1. The differences by replicate are 1 and 3: their deviation is
    # the root of 2, and over the root of 2 replicates the standard error is 1.
    assert pair["rewards"] == {"chosen": 3.0, "rejected": 1.0}
    assert (pair["margin"], pair["margin_se"]) == (2.0, 1.0)
    assert pair["p_better"] == pytest.approx(0.5 * (1 + math.erf(2 / math.sqrt(2))), abs=1e-6)
    assert (pair["weight"], pair["replicates"]) == (2.0, 2)
    assert (pair["chosen_action"], pair["rejected_action"]) == ("Execute", "Clarify")
    assert (pair["chosen_text"], pair["rejected_text"]) == ("mainline 0", f"{ASKS} 0")
    assert (pair["chosen_id"], pair["rejected_id"], pair["id"]) == ("g/mainline", "g/other", "g/pair")


def test_without_replicates_the_spread_is_unknown(cli: Cli) -> None:
    (pair,) = paired(cli, [arm("mainline", 1.0), arm("variant", 3.0), arm("other", 2.5)])
    assert (pair["margin"], pair["margin_se"], pair["p_better"]) == (0.5, None, None)
    assert (pair["chosen_action"], pair["replicates"]) == ("Clarify", 1)


def test_a_pair_tells_how_often_the_arm_was_played_that_was_played_less(cli: Cli) -> None:
    rows = [arm(branch, 1.0 + (branch == "other"), n) for n in range(3) for branch in ("mainline", "variant", "other")]
    (pair,) = paired(cli, rows[:-1])
    assert pair["replicates"] == 2


def test_equal_differences_leave_no_doubt(cli: Cli) -> None:
    rows = [arm("mainline", 1.0), arm("other", 2.0), arm("mainline", 3.0, 1), arm("other", 4.0, 1)]
    (pair,) = paired(cli, rows)
    assert (pair["margin_se"], pair["p_better"]) == (0.0, 1.0)


def test_other_arms_take_no_part(cli: Cli) -> None:
    extra = {**arm("oracle", 9.0), "action": "Execute"}
    (pair,) = paired(cli, [arm("mainline", 1.0), arm("other", 2.0), extra])
    assert pair["rewards"] == {"chosen": 2.0, "rejected": 1.0}


def test_best_against_worst_is_the_documents_way(cli: Cli) -> None:
    rows = [arm("mainline", 1.0), arm("variant", 3.0), arm("other", 2.5)]
    (pair,) = paired(cli, rows, "--pairs", "best-worst")
    assert (pair["chosen_id"], pair["rejected_id"], pair["margin"]) == ("g/variant", "g/other", 0.5)
    assert pair["margin_se"] is None
    # The worst line of all has the action of the best one, and is not what it is compared with.
    (pair,) = paired(cli, [arm("mainline", -9.0), *rows[1:]], "--pairs", "best-worst")
    assert (pair["chosen_id"], pair["rejected_id"]) == ("g/variant", "g/other")


def test_every_group_without_a_pair_is_listed_with_its_reason(cli: Cli) -> None:
    groups: dict[str, list[Row]] = {
        "alone": [arm("mainline", 1.0, group="alone"), arm("variant", 2.0, group="alone")],
        "tied": [arm("mainline", 1.0, group="tied"), arm("other", 1.0, group="tied")],
        "unscored": [arm("mainline", 1.0, group="unscored"), arm("other", None, group="unscored")],
        "paired": [arm("mainline", 1.0, group="paired"), arm("other", 0.5, group="paired")],
    }
    (pair,) = paired(cli, [row for rows in groups.values() for row in rows])
    assert pair["group"] == "paired"
    assert meta()["groups_without_pair"] == {
        "alone": "one action only", "tied": "tie", "unscored": "no task score"
    }  # fmt: skip
    assert meta()["reasons"] == {"no task score": 1, "one action only": 1, "tie": 1}
    assert meta()["constant_policy"] == "Execute"
    assert meta()["spec"]["components"] == {"value": 1.0}


def test_thinning_keeps_pairs_in_proportion_to_their_margin(cli: Cli) -> None:
    count = 400
    rows = [arm("mainline", 1.0, group="largest"), arm("other", 0.0, group="largest")]
    for index in range(count):
        rows += [arm("mainline", 0.0, group=f"g{index}"), arm("other", 0.25, group=f"g{index}")]
    kept = paired(cli, rows)
    names = {pair["group"] for pair in kept}
    assert "largest" in names
    share = (len(kept) - 1) / count
    assert abs(share - 0.25) < 3 * math.sqrt(0.25 * 0.75 / count)
    assert {pair["weight"] for pair in kept} == {1.0}
    assert {pair["margin"] for pair in kept} == {0.25, 1.0}
    thinned = {group for group, reason in meta()["groups_without_pair"].items() if reason == "thinned"}
    assert thinned == {row["group"] for row in rows} - names
    assert (meta()["thinned"], meta()["reasons"], meta()["constant_policy"]) == (
        True, {"thinned": len(thinned)}, None
    )  # fmt: skip
    assert paired(cli, rows) == kept
    assert {pair["group"] for pair in paired(cli, rows, "--seed", 1)} != names
    everything = paired(cli, rows, "--no-thin")
    assert len(everything) == count + 1
    assert all(pair["weight"] == pair["margin"] for pair in everything)
    assert meta()["thinned"] is False


def test_rows_of_two_domains_have_the_same_columns_and_the_shape_that_trl_reads(cli: Cli) -> None:
    plan = state("p", domain="planning", query="Plan a lunch.", tests=None, checklist=["Book a room."], family="f")
    rows = [
        line("mainline", [("Execute", RIGHT, {})], group="c"),
        line("other", [("Clarify", ASKS, {}), ("Execute", WRONG, {})], group="c"),
        line("mainline", [("Execute", "I would rather not.", {})], group="p", state=plan, persona=persona("ann")),
        line("other", [("Clarify", ASKS, {}), ("Execute", "1. Book a room for everybody.", {})], group="p", state=plan),
    ]
    write_lines("t.jsonl", rows)
    reward_rows(cli, "--no-thin")
    coding, planning = read_lines("pairs.jsonl")
    assert coding.keys() == planning.keys()
    assert coding["state"].keys() == planning["state"].keys()
    for pair, query in ((coding, "Write a Python function that doubles a number."), (planning, "Plan a lunch.")):
        assert pair["prompt"] == [{"role": "user", "content": query}]
        assert pair["chosen"] == [{"role": "assistant", "content": pair["chosen_text"]}]
        assert pair["rejected"] == [{"role": "assistant", "content": pair["rejected_text"]}]
    assert (coding["task_scores"], coding["interrupt_costs"]) == (
        {"chosen": 1.0, "rejected": 0.0}, {"chosen": 0.0, "rejected": 0.08}
    )  # fmt: skip
    assert (planning["chosen_action"], planning["family"], planning["state_id"]) == ("Clarify", "f", "p")
    assert (planning["persona"], planning["method"], planning["seed"], planning["turn"]) == ("pat", "m", 0, 0)


def test_the_prompt_of_a_later_turn_is_the_dialogue_before_it(cli: Cli) -> None:
    messages = [
        {"role": "user", "content": "Please."},
        {"role": "assistant", "content": "What?"},
        {"role": "user", "content": "That."},
    ]
    rows = []
    for branch, action, message in (("mainline", "Execute", RIGHT), ("other", "Clarify", ASKS)):
        row = line(branch, [(action, message, {})])
        row["messages"] = [*messages, {"role": "assistant", "content": message}]
        row["rollout"][0]["at"] = row["at"] = 3
        rows.append(row)
    write_lines("t.jsonl", rows)
    reward_rows(cli, "--no-thin")
    (pair,) = read_lines("pairs.jsonl")
    assert pair["prompt"] == messages
