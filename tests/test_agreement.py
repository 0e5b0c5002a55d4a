"""Judges against people, and policies against the better action, worked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation import ACT_B, played, verdict, written
from support import Cli, Row, succeeded, write_lines


def lines(count: int) -> list[Row]:
    """Conversations of one method whose answers grow longer."""
    rows = []
    for number in range(count):
        answer = "word " * (number + 1)
        rows.append(played("act", f"T{number}", ["Do it.", answer, "Fine."], [("Execute", {"satisfaction": 0.5})]))
    return rows


def judged(rows: list[Row], found: list[str], confidence: list[float], repeats: int = 1) -> list[Row]:
    return [
        verdict(
            row["id"],
            "correctness",
            1,
            label=label,
            score=float(label == "correct"),
            confidence=sure,
            repeat=repeat,
        )
        for row, label, sure in zip(rows, found, confidence, strict=True)
        for repeat in range(repeats)
    ]


def agreement(cli: Cli, rows: list[Row], verdicts: list[Row], gold: list[Row], *more: object) -> Row:
    write_lines("gold.jsonl", gold)
    arguments = (*written(rows, [], verdicts), "--gold", "gold.jsonl", "--no-plot", "--json", *more)
    report: Row = json.loads(succeeded(cli("eval", *arguments)).out)
    found: Row = report["agreement"]
    return found


YES, NO = "correct", "incorrect"


def test_a_judge_is_put_beside_people_and_trivial_baselines(cli: Cli) -> None:
    rows = lines(10)
    gold = [YES] * 6 + [NO] * 4
    found = [YES] * 5 + [NO] + [NO] * 3 + [YES]
    sure = [0.9] * 5 + [0.3] + [0.9] * 3 + [0.3]
    labels = [{"id": row["id"], "label": label} for row, label in zip(rows, gold, strict=True)]
    report = agreement(cli, rows, judged(rows, found, sure), labels)["correctness"]
    assert report["accuracy"]["mean"] == 0.8
    assert report["confusion"] == {YES: {YES: 5, NO: 1}, NO: {YES: 1, NO: 3}}
    # Chance agreement 0.6 x 0.6 + 0.4 x 0.4 = 0.52: kappa (0.8 - 0.52) / 0.48.
    assert report["kappa"]["mean"] == pytest.approx(0.28 / 0.48)
    assert report["kappa"]["low"] < report["kappa"]["mean"] < report["kappa"]["high"]
    # Krippendorff: 1 - (20 - 1) x 2 / (12 x 8) with 4 discordant values on 2 of 10 units.
    assert report["alpha"]["mean"] == pytest.approx(1 - 19 * 2 / (12 * 8))
    assert report["baselines"]["majority"]["mean"] == 0.6
    # The longer half is called correct; the labels are the wrong way round for that.
    assert report["baselines"]["longest"]["mean"] == pytest.approx(0.1)
    # 8 verdicts at 0.9 are all right, 2 at 0.3 all wrong: (8 x 0.1 + 2 x 0.3) / 10.
    assert report["ece"] == pytest.approx(0.14)
    assert [(one["coverage"], one["accuracy"]) for one in report["risk_coverage"]] == [(0.8, 1.0), (1.0, 0.8)]
    gate = report["gate"]
    assert (gate["tau"], gate["kept"], gate["held_back"]) == (0.6, 8, 2)
    assert (gate["accuracy_kept"]["mean"], gate["accuracy_held_back"]["mean"]) == (1.0, 0.0)
    assert gate["p"] == pytest.approx(1 / 45)


def test_the_name_of_a_judge_picks_no_folder(cli: Cli) -> None:
    (row,) = lines(1)
    judges = ("a/../../../outside", "a%2F..%2F..%2F..%2Foutside")
    verdicts = [verdict(row["id"], judge, label=YES, confidence=0.9) for judge in judges]
    write_lines("gold.jsonl", [{"id": row["id"], "label": YES}])
    arguments = written([row], [], verdicts)
    before = {*Path.cwd().parent.rglob("*")}
    succeeded(cli("eval", *arguments, "--gold", "gold.jsonl"))
    made = {*Path.cwd().parent.rglob("*")} - before
    assert {path.name for path in made if path.parent != Path("eval").absolute()} == {"eval"}
    assert len([path for path in made if path.name.startswith("reliability-") and path.suffix == ".png"]) == 2


def test_a_gate_that_holds_nothing_back_is_said_to_do_nothing(cli: Cli) -> None:
    rows = lines(4)
    labels = [{"id": f"{row['id']}#1", "label": label} for row, label in zip(rows, [YES, NO, YES, NO], strict=True)]
    report = agreement(cli, rows, judged(rows, [YES] * 4, [0.95] * 4), labels)["correctness"]
    assert report["gate"]["held_back"] == 0
    assert report["gate"]["p"] is None
    assert report["kappa"]["mean"] == 0.0


def test_repeats_of_a_judge_are_compared_with_each_other(cli: Cli) -> None:
    rows = lines(4)
    verdicts = judged(rows, [YES, NO, YES, NO], [0.9] * 4, 2)
    labels = [{"id": row["id"], "label": YES} for row in rows]
    assert agreement(cli, rows, verdicts, labels)["correctness"]["retest"]["mean"] == 1.0


def test_scores_agree_when_they_order_a_group_as_people_do(cli: Cli) -> None:
    rows = lines(3)
    verdicts = [
        verdict(row["id"], "ruler", group="g", score=value) for row, value in zip(rows, [0.9, 0.5, 0.1], strict=True)
    ]
    gold = [{"id": row["id"], "score": value} for row, value in zip(rows, [1.0, 0.2, 0.6], strict=True)]
    report = agreement(cli, rows, verdicts, gold)["ruler"]
    assert report["order_pairs"] == 3
    assert report["order_accuracy"] == pytest.approx(2 / 3)
    assert report["order_longest"] == pytest.approx(1 / 3)


def test_a_judge_that_does_not_apply_is_not_wrong(cli: Cli) -> None:
    rows = lines(2)
    verdicts = [verdict(row["id"], "correctness", label="not_applicable") for row in rows]
    gold = [{"id": rows[0]["id"], "label": YES}, {"id": rows[1]["id"], "label": "not_applicable"}]
    report = agreement(cli, rows, verdicts, gold)["correctness"]
    assert (report["n"], report["not_applicable"], report["accuracy"]["mean"]) == (2, 1, 1.0)
    report = agreement(cli, rows, verdicts[:1], gold[:1])["correctness"]
    assert (report["n"], report["not_applicable"], "accuracy" in report) == (1, 1, False)


def test_a_judge_that_never_says_what_people_say_is_wrong_and_another_judge_is_not_asked(cli: Cli) -> None:
    (row,) = lines(1)
    verdicts = [verdict(row["id"], "feedback", 2, label="neg_confusion"), *judged([row], [NO], [0.9])]
    report = agreement(cli, [row], verdicts, [{"id": row["id"], "label": "pos_praise"}])
    assert report.keys() == {"feedback"}
    assert (report["feedback"]["n"], report["feedback"]["accuracy"]["mean"]) == (1, 0.0)


def test_what_people_say_of_a_conversation_is_not_said_of_its_turns(cli: Cli) -> None:
    rows = lines(2)
    turns: list[Row] = [
        {"label": "pos_praise", "score": 0.8, "confidence": 0.9},
        {"label": "neutral", "confidence": 0.9},
    ]
    verdicts = [
        verdict(row["id"], "feedback", at, **said, detail={"subject": f"m{at}", "subjects": 2})
        for row in rows
        for at, said in zip((1, 3), turns, strict=True)
    ]
    verdicts += judged(rows, [YES, YES], [0.9, 0.9])
    whole = [{"id": row["id"], "label": YES, "score": 1.0} for row in rows]
    assert agreement(cli, rows, verdicts, whole).keys() == {"correctness"}
    first = [{"id": f"{row['id']}/m1", "label": "pos_praise"} for row in rows]
    assert agreement(cli, rows, verdicts, [*whole, *first])["feedback"]["n"] == 2


def test_people_without_a_judge_to_compare_them_with_are_not_passed_over(cli: Cli) -> None:
    (row,) = lines(1)
    write_lines("gold.jsonl", [{"id": "elsewhere", "label": YES}])
    arguments = written([row], [], judged([row], [YES], [0.9]))
    ran = succeeded(cli("eval", *arguments, "--gold", "gold.jsonl", "--no-plot"))
    assert "No verdict is compared with gold.jsonl" in " ".join(ran.err.split())
    ran = cli("eval", "t.jsonl", "--gold", "gold.jsonl", "--no-plot")
    assert (ran.code, ran.err) == (2, "proact: --gold needs --verdicts, with which it is compared\n")


def test_a_gold_file_without_a_label_or_with_a_double_is_refused(cli: Cli) -> None:
    for gold, said in (([{"id": "a"}], "neither"), ([{"id": "a", "label": YES}] * 2, "twice")):
        write_lines("gold.jsonl", gold)
        ran = cli("eval", *written(lines(1), [], []), "--gold", "gold.jsonl", "--no-plot")
        assert ran.code == 2
        assert said in ran.err


def pair(task: str, persona: str, chosen: str, margin: float, turn: int = 0) -> Row:
    rejected = "Execute" if chosen == "Clarify" else "Clarify"
    texts = {"Clarify": "Which one?", "Execute": "Here is a longer answer."}
    arm = {"chosen": 1.0, "rejected": 0.0}
    return {
        "state": {"id": task, "domain": "coding", "query": "Do it."},
        "chosen_action": chosen, "rejected_action": rejected,
        "chosen_text": texts[chosen], "rejected_text": texts[rejected],
        "rewards": arm, "task_scores": arm, "interrupt_costs": arm, "prompt": [{"role": "user", "content": "Do it."}],
        **{side: [{"role": "assistant", "content": texts[action]}] for side, action in
           (("chosen", chosen), ("rejected", rejected))},
        "id": f"{task}/{persona}/{turn}/{margin}", "group": task, "chosen_id": "a", "rejected_id": "b",
        "state_id": task, "persona": persona, "method": "other", "seed": 1, "turn": turn, "family": None, "split": None,
        "margin": margin, "margin_se": None, "p_better": None, "weight": 1.0, "spec": "default@1",
    }  # fmt: skip


def test_a_policy_is_measured_against_pairs_of_state_persona_and_turn(cli: Cli) -> None:
    rows = []
    for number, (action, uncertainty) in enumerate(
        [("Clarify", 0.9), ("Execute", 0.8), ("Execute", 0.1), ("Execute", 0.2)]
    ):
        row = played("mine", f"T{number}", ["Do it.", "Well."], [(action, {"satisfaction": 0.5})])
        row["state"]["task_uncertainty"] = uncertainty
        rows.append(row)
    forced = {**rows[0], "id": "forced", "group": "x", "conversation": "x", "forced": True}
    pairs = [
        pair("T0", "pat", "Clarify", 0.5),
        pair("T1", "pat", "Clarify", 0.4),
        pair("T2", "pat", "Execute", 0.3),
        pair("T3", "sam", "Clarify", 0.9),
        pair("T3", "pat", "Clarify", 0.9, 1),
    ]
    write_lines("pairs.jsonl", pairs)
    arguments = (*written([*rows, forced], [], []), "--pairs", "pairs.jsonl", "--no-plot", "--json")
    report = json.loads(succeeded(cli("eval", *arguments)).out)["per_method"]["mine"]
    policy = report["policy"]
    assert (policy["decisions"], policy["matched"], policy["unmatched"]) == (4, 3, 1)
    assert policy["action_accuracy"]["mean"] == pytest.approx(2 / 3)
    assert policy["confusion"] == {"Clarify": {"Clarify": 1, "Execute": 1}, "Execute": {"Clarify": 0, "Execute": 1}}
    assert policy["regret"]["mean"] == pytest.approx(0.4 / 3)
    shares = {name: share["mean"] for name, share in policy["baselines"].items()}
    assert shares == pytest.approx({"always-ask": 2 / 3, "always-execute": 1 / 3, "majority": 2 / 3, "longest": 1 / 3})
    assert policy["ask_rate"]["mean"] == 0.25
    asks = {name: (share["mean"], share["n"]) for name, share in policy["ask_rate_by_uncertainty"].items()}
    assert asks == {"0.00 to 0.25": (0.0, 2), "0.75 to 1.00": (0.5, 2)}
    assert policy["ask_rate_by_persona"]["pat"]["n"] == 4
    assert report["metrics"]["action_accuracy"]["not_applicable"] == 1


def test_pairs_of_one_decision_count_by_their_mean_margin(cli: Cli) -> None:
    write_lines("pairs.jsonl", [pair("B", "pat", "Clarify", 0.2), pair("B", "pat", "Execute", 0.5)])
    arguments = (*written([ACT_B], [], []), "--pairs", "pairs.jsonl", "--no-plot", "--json")
    policy = json.loads(succeeded(cli("eval", *arguments)).out)["per_method"]["act"]["policy"]
    assert policy["action_accuracy"]["mean"] == 1.0
