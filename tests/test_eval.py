"""Six conversations, every metric of which is worked on paper here, and what eval makes of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from evaluation import ACT_A, ACT_B, ASK_A, ASK_B, LINES, REWARDS, verdict, written
from support import EXAMPLES, Cli, Row, Server, read_lines, succeeded, write_lines

MISSING, NOT_APPLICABLE = "missing", "not applicable"
# Tasks A, B, C of the method that asks, then of the method that acts.
ON_PAPER: dict[str, list[float | str]] = {
    # ASK_C has no reward because the sandbox failed; nothing scores ACT_C.
    "task_success": [1, 0, MISSING, 0, 1, NOT_APPLICABLE],
    "task_score": [1, 0.5, MISSING, 0, 1, NOT_APPLICABLE],
    "turns_to_success": [2, NOT_APPLICABLE, MISSING, NOT_APPLICABLE, 1, NOT_APPLICABLE],
    "total_turns": [2, 2, 2, 1, 1, 1],
    # Sort the list (3) + Ascending please (2) + Thanks (1); Write a plan (3) + Just do it I said so (6); ...
    "user_token_count": [6, 9, 6, 11, 3, 4],
    # Which order (2) + Done sorted ascending (3); For whom And when (4) + Here is a plan (4); ...
    "agent_token_count": [5, 8, 3, 2, 3, 1],
    "total_token_count": [11, 17, 9, 13, 6, 5],
    "model_tokens": [120, 120, 120, 120, 120, 120],
    # A tokenizer was named for ASK_A alone.
    "counted_user_tokens": [9, *[NOT_APPLICABLE] * 5],
    "counted_agent_tokens": [7, *[NOT_APPLICABLE] * 5],
    # "please use" enforces; "I said" and "not what I wanted" are disappointed.
    "enforcement_count": [0, 0, 0, 1, 0, 0],
    "disappointment_count": [0, 1, 0, 1, 0, 0],
    # Enforcement (2) and correction (3) in the one message of ACT_A.
    "weighted_effort_score": [0, 0, 0, 5, 0, 0],
    # Means of the turns to which a preference applies: (1 + 0.5) / 2; ASK_B was not judged, in ASK_C none applies.
    "compliance_score": [0.75, MISSING, NOT_APPLICABLE, 0, NOT_APPLICABLE, 1],
    "conflict_resolution_accuracy": [0.5, NOT_APPLICABLE, 1, 0, NOT_APPLICABLE, NOT_APPLICABLE],
    # Over all judged turns: 1 of 2, 1 of 2, 1 of 1, none judged, 1 of 1.
    "over_personalization_rate": [0.5, MISSING, 0.5, 1, NOT_APPLICABLE, 1],
    # 0.2 (0.4 x 1 question); 0.2 (0.4 x 2 questions + 1 rejection).
    "interrupt_cost": [0.08, 0.36, MISSING, 0, 0, 0],
    "questions": [1, 2, 1, 0, 0, 0],
    "rejections": [0, 1, 0, 0, 0, 0],
    "satisfaction": [(0.85 + 0.6) / 2, (0.3 + 0.6) / 2, (0.85 + 0.6) / 2, 0.6, 0.5, 0.6],
    # Praise at 0.5 is under tau and a change of topic never counts; ACT_B has no reaction, ACT_C was not judged.
    "feedback": [0.1, -0.8, NOT_APPLICABLE, -1, NOT_APPLICABLE, MISSING],
    "reward": [0.92, 0.14, MISSING, 0, 1, NOT_APPLICABLE],
}


@pytest.fixture
def report(cli: Cli) -> Row:
    ran = succeeded(cli("eval", *written(), "--no-plot", "--json"), 3)
    found: Row = json.loads(ran.out)
    return found


def metric(report: Row, method: str, name: str) -> Row:
    found: Row = report["per_method"][method]["metrics"][name]
    return found


def test_every_metric_of_every_conversation_is_the_one_on_paper(report: Row) -> None:
    rows = {row["id"]: row for row in read_lines("eval/conversations.jsonl")}
    assert rows.keys() == {line["id"] for line in LINES}
    for place, line in enumerate(LINES):
        row = rows[line["id"]]
        assert row["metrics"].keys() == ON_PAPER.keys()
        for field, values in ON_PAPER.items():
            wanted = values[place]
            found = row["metrics"][field]
            assert (field in row["missing"]) == (wanted == MISSING), (field, line["id"])
            assert (field in row["not_applicable"]) == (wanted == NOT_APPLICABLE), (field, line["id"])
            assert found is None if isinstance(wanted, str) else found == pytest.approx(wanted), (field, line["id"])


def test_means_count_what_is_there_and_say_what_is_not(report: Row) -> None:
    asks = metric(report, "ask", "task_success_rate")
    assert (asks["mean"], asks["n"], asks["missing"], asks["not_applicable"]) == (0.5, 2, 1, 0)
    acts = metric(report, "act", "task_success_rate")
    assert (acts["mean"], acts["n"], acts["missing"], acts["not_applicable"]) == (0.5, 2, 0, 1)
    # Wilson for one success in two: (0.5 + z²/4) / (1 + z²/2) ± z / (1 + z²/2) · sqrt(1/8 + z²/16), z = 1.96.
    assert asks["interval"] == "wilson"
    assert (asks["ci_low"], asks["ci_high"]) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    # t with one degree of freedom: 0.22 ± 12.706 · 0.14.
    cost = metric(report, "ask", "avg_interrupt_cost")
    assert (cost["mean"], cost["ci_low"], cost["ci_high"]) == pytest.approx((0.22, -1.5589, 1.9989), abs=1e-4)
    assert (cost["unit"], cost["higher_is_better"], cost["interval"]) == ("reward", False, "t")


def test_conflicts_are_weighted_by_their_number(report: Row) -> None:
    # One of two in A and one of one in C: 2 of 3, and not the mean of 0.5 and 1.
    assert metric(report, "ask", "conflict_resolution_accuracy")["mean"] == pytest.approx(2 / 3)


def test_methods_are_paired_on_the_tasks_that_both_have(report: Row) -> None:
    entry = report["comparison"]["avg_task_score"]
    (duel,) = entry["pairs"]
    # A: act 0, ask 1; B: act 1, ask 0.5; C: neither. The differences are -1 and 0.5.
    assert (duel["first"], duel["second"], duel["n"]) == ("act", "ask", 2)
    assert duel["difference"] == pytest.approx(-0.25)
    assert entry["values"] == {"act": 0.5, "ask": 0.75}
    assert (entry["best"], entry["not_told_apart"], entry["few_tasks"]) == ("ask", ["act"], True)
    assert duel["verdict"] == "no difference shown"
    assert duel["detectable"] == pytest.approx((12.7062 + 0.8416) * 1.5 / math.sqrt(2) / math.sqrt(2), abs=1e-3)


def test_the_best_is_the_best_in_the_direction_of_the_metric(report: Row) -> None:
    # Acting over-personalises every judged turn of the tasks A and C that both have, asking every second one.
    over = report["comparison"]["over_personalization_rate"]
    assert over["values"] == {"act": 1.0, "ask": 0.5}
    assert (over["best"], over["higher_is_better"]) == ("ask", False)
    assert report["comparison"]["avg_interrupt_cost"]["best"] == "act"
    assert report["comparison"]["avg_reward"]["higher_is_better"] is True


def test_ties_are_said_to_be_ties(report: Row) -> None:
    entry = report["comparison"]["task_success_rate"]
    assert (entry["best"], entry["equal_best"]) == (None, ["act", "ask"])


def test_the_document_s_keys_are_kept(report: Row) -> None:
    kept = json.loads(Path("eval/comparison.json").read_text())
    assert kept["per_method"] == report["per_method"]
    for method in ("ask", "act"):
        found = kept["per_method"][method]
        assert (found["method"], found["n_conversations"]) == (method, 3)
        assert isinstance(found["avg_user_tokens"], float)
    for entry in kept["comparison"].values():
        assert {"values", "best", "best_value"} <= entry.keys()


def test_rows_of_metrics_hold_everything_that_a_reader_needs(report: Row) -> None:
    rows = read_lines("eval/metrics.jsonl")
    assert rows == sorted(rows, key=lambda row: (row["method"], row["id"]))
    row = next(row for row in rows if row["id"] == "ask/avg_reward")
    assert row["mean"] == pytest.approx(0.53)
    assert (row["n"], row["tasks"], row["missing"], row["not_applicable"]) == (2, 2, 1, 0)


def test_missing_values_and_few_tasks_are_said_before_everything_else(report: Row) -> None:
    assert any("fewer than 30" in warning for warning in report["warnings"])
    assert any("missing" in warning for warning in report["warnings"])


def test_only_the_first_mainline_of_a_conversation_counts(cli: Cli) -> None:
    branch = {**ASK_A, "id": f"{ASK_A['group']}/other", "is_mainline": False, "branch": "other"}
    group = f"{ASK_A['conversation']}/t1"
    later = {**ASK_A, "id": f"{group}/mainline", "group": group, "turn": 1, "decision_point": 1, "at": 3}
    succeeded(cli("eval", *written([later, branch, ASK_A], []), "--no-plot"))
    (row,) = read_lines("eval/conversations.jsonl")
    assert row["id"] == ASK_A["id"]


def test_a_file_can_be_given_a_name_and_parts_are_measured(cli: Cli) -> None:
    write_lines("one.jsonl", [ASK_A, ASK_B])
    write_lines("two.jsonl", [ACT_A, ACT_B])
    files = ("--method", "before=one.jsonl", "--method", "after=two.jsonl", "--by", "persona")
    report = json.loads(succeeded(cli("eval", *files, "--out", "eval", "--no-plot", "--json"), 0).out)
    assert report["methods"] == ["after", "before"]
    assert report["by"].keys() == {"persona=pat"}
    assert "after/avg_turns/persona=pat" in {row["id"] for row in read_lines("eval/metrics.jsonl")}


def test_two_rewards_of_one_line_and_one_id_in_two_files_are_refused(cli: Cli) -> None:
    other = {**REWARDS[0], "task_score": 0.25}
    arguments = written(rewards=[*REWARDS, other])
    ran = cli("eval", *arguments, "--no-plot")
    assert ran.code == 2
    assert "another reward" in ran.err
    write_lines("u.jsonl", LINES)
    ran = cli("eval", "t.jsonl", "u.jsonl", "--out", "eval", "--no-plot")
    assert ran.code == 2
    assert "--method" in ran.err


INPUTS = {"gold": [{"id": ASK_A["id"], "label": "correct"}], "pairs": [], "problems": [], "profiles": []}


@pytest.mark.parametrize(
    "again",
    [
        ("--rewards", "r.jsonl"),
        ("--verdicts", "./v.jsonl"),
        ("link.jsonl",),
        ("--method", "again=t.jsonl"),
        ("--rewards", "eval/metrics.jsonl"),
        ("--verdicts", "eval/metrics.jsonl"),
        ("--method", "old=eval/conversations.jsonl"),
        *((f"--{name}", "eval/metrics.jsonl") for name in INPUTS),
    ],
)
def test_no_file_is_read_twice_or_read_and_written(cli: Cli, again: tuple[str, ...]) -> None:
    arguments = written()
    Path("link.jsonl").symlink_to("t.jsonl")
    for name in ("conversations", "metrics"):
        write_lines(f"eval/{name}.jsonl", INPUTS.get(again[0][2:], []))
    before = {path: path.read_bytes() for path in Path().rglob("*.jsonl")}
    ran = cli("eval", *arguments, *again, "--no-plot")
    assert (ran.code, "must be different files" in ran.err) == (2, True), ran.err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_judge_decides_where_nothing_is_run(cli: Cli) -> None:
    bare = [{**line, "task_completed": None} for line in (ASK_A, ACT_A, ACT_B)]
    verdicts = [
        verdict(ASK_A["id"], "correctness", score=1.0, label="correct"),
        verdict(ACT_A["id"], "correctness", score=0.0, label="incorrect"),
    ]
    succeeded(cli("eval", *written(bare, [], verdicts)[:1], "--verdicts", "v.jsonl", "--out", "eval", "--no-plot"), 3)
    rows = {row["id"]: row for row in read_lines("eval/conversations.jsonl")}
    assert [rows[line["id"]]["metrics"]["task_success"] for line in (ASK_A, ACT_A, ACT_B)] == [1.0, 0.0, None]
    assert "task_success" in rows[ACT_B["id"]]["missing"]
    assert rows[ASK_A["id"]]["success_source"] == "correctness"


def test_a_conversation_of_which_a_verdict_failed_is_missing(cli: Cli) -> None:
    """A judge says in each verdict how many subjects it had; the mean over the others would be another number."""
    found: Row = {"score": 1.0, "detail": {"over_personalization": [], "subject": "m1", "subjects": 2}}
    verdicts = [verdict(ASK_A["id"], "compliance", 1, **found), verdict(ACT_A["id"], "compliance", 1, **found)]
    verdicts.append(verdict(ACT_A["id"], "compliance", 3, **{**found, "detail": {**found["detail"], "subject": "m3"}}))
    succeeded(cli("eval", *written([ASK_A, ACT_A], [], verdicts)[:1], "--verdicts", "v.jsonl", "--no-plot"), 3)
    rows = {row["id"]: row for row in read_lines("data/eval/conversations.jsonl")}
    assert "compliance_score" in rows[ASK_A["id"]]["missing"]
    assert rows[ACT_A["id"]]["metrics"]["compliance_score"] == 1.0


def test_no_picture_of_an_earlier_run_is_left(cli: Cli) -> None:
    files = written()
    succeeded(cli("eval", *files), 3)
    assert Path("eval/pareto.png").exists()
    succeeded(cli("eval", *files, "--no-plot"), 3)
    assert not [*Path("eval").glob("pareto.*")]


def test_a_judge_that_failed_everywhere_is_told(cli: Cli, server: Server) -> None:
    """No verdict at all leaves its metric out of the tables, as if nobody had asked for it."""
    server.answer = lambda body: "I would rather not say."
    write_lines("t.jsonl", [ASK_A, ACT_A])
    judged = ("judge", "feedback", "--in", "t.jsonl", "--out", "v.jsonl", "--model", "any", "--base-url", server.url)
    succeeded(cli(*judged), 3)
    ran = succeeded(cli("eval", "t.jsonl", "--verdicts", "v.jsonl", "--no-plot"), 3)
    failures = read_lines("v.failures.jsonl")
    told = f"{len(failures)} job{'s' * (len(failures) != 1)} of v.jsonl failed and left no record to measure"
    assert told in " ".join((ran.out + ran.err).split())
    assert json.loads(Path("data/eval/comparison.json").read_text())["failed"] == {"v.jsonl": len(failures)}
    assert told in Path("data/eval/report.html").read_text()


def test_passes_over_one_subject_are_one_finding_and_stand_for_no_other(cli: Cli) -> None:
    """Passes of 1 and 0 on a conflict are a half that counts once; two on one of two answers leave one missing."""
    once: Row = {"score": 1.0, "detail": {"subject": "m1.0", "subjects": 1}}
    twice: Row = {**once, "score": 0.0, "repeat": 1}
    halved: Row = {"score": 1.0, "detail": {"over_personalization": [], "subject": "m1", "subjects": 2}}
    verdicts = [verdict(ASK_A["id"], "conflict", 1, **once), verdict(ASK_A["id"], "conflict", 1, **twice)]
    verdicts += [verdict(ASK_A["id"], "compliance", 1, **{**halved, "repeat": repeat}) for repeat in (0, 1)]
    verdicts += [verdict(ACT_A["id"], "compliance", 1, **{**halved, "detail": {"subject": "m1", "subjects": 1}})]
    succeeded(cli("eval", *written([ASK_A, ACT_A], [], verdicts)[:1], "--verdicts", "v.jsonl", "--no-plot"), 3)
    row = next(row for row in read_lines("data/eval/conversations.jsonl") if row["id"] == ASK_A["id"])
    assert (row["metrics"]["conflict_resolution_accuracy"], row["weights"]["conflict_resolution_accuracy"]) == (0.5, 1)
    assert "compliance_score" in row["missing"]


@pytest.mark.parametrize(
    ("judge", "detail", "reason"),
    [
        ("compliance", {"subject": 3}, "detail.subject: expected str, got int"),
        ("compliance", {"subjects": "two"}, "detail.subjects: expected a number of subjects, got 'two'"),
        ("compliance", {"subjects": 0}, "detail.subjects: expected a number of subjects, got 0"),
        ("effort", {"user_tokens": "many"}, "detail.user_tokens: expected a number, got 'many'"),
    ],
)
def test_what_a_verdict_says_of_its_subject_is_checked(cli: Cli, judge: str, detail: Row, reason: str) -> None:
    arguments = written([ASK_A], [], [verdict(ASK_A["id"], judge, 1, score=1.0, detail=detail)])
    ran = cli("eval", *arguments[:1], "--verdicts", "v.jsonl", "--no-plot")
    assert (ran.code, f"v.jsonl:1: field {reason}" in ran.err) == (2, True), ran.err


def test_two_specs_of_a_judge_need_a_choice(cli: Cli) -> None:
    verdicts = [verdict(ASK_A["id"], "correctness", score=1.0), verdict(ASK_A["id"], "correctness", score=0.0)]
    verdicts[1].update(spec="t", id="other")
    arguments = (*written([ASK_A], [], verdicts)[:1], "--verdicts", "v.jsonl", "--no-plot")
    ran = cli("eval", *arguments)
    assert (ran.code, "--verdict-spec correctness=SPEC" in ran.err) == (2, True)
    succeeded(cli("eval", *arguments, "--verdict-spec", "correctness=t"))
    (row,) = read_lines("data/eval/conversations.jsonl")
    assert row["metrics"]["task_success"] == 0.0


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("correctness=zzz", "; choose one with --verdict-spec correctness=SPEC"),
        ("correctness=t", "; choose one with --verdict-spec correctness=SPEC"),
        ("ruler=t1", "there is no verdict of 'ruler'; see --verdicts"),
        ("correctness", "expected JUDGE=SPEC"),
    ],
)
def test_the_choice_of_a_spec_is_of_one_that_is_there(cli: Cli, choice: str, said: str) -> None:
    verdicts = [verdict(ASK_A["id"], "correctness", spec=spec, score=1.0) for spec in ("t1", "t2")]
    ran = cli("eval", *written([ASK_A], [], verdicts), "--no-plot", "--verdict-spec", choice)
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_feedback_that_does_not_apply_counts_under_no_tau(cli: Cli) -> None:
    verdicts = [verdict(ACT_A["id"], "feedback", 2, label="not_applicable", confidence=1.0)]
    succeeded(cli("eval", *written([ACT_A], [], verdicts)[:1], "--verdicts", "v.jsonl", "--no-plot", "--tau", 0))
    (row,) = read_lines("data/eval/conversations.jsonl")
    assert "feedback" in row["not_applicable"]


@pytest.mark.parametrize("label", ["pos_prase", None])
@pytest.mark.parametrize(
    "command", [("eval", "t.jsonl"), ("reward", "--trajectories", "t.jsonl", "--component", "feedback=1")]
)
def test_feedback_under_a_label_that_there_is_not_is_refused(
    cli: Cli, command: tuple[str, ...], label: str | None
) -> None:
    written([ACT_A], [], [verdict(ACT_A["id"], "feedback", 2, label=label, score=0.8, confidence=1.0)])
    ran = cli(*command, "--verdicts", "v.jsonl")
    assert ran.code == 2
    assert ran.err.startswith("proact: v.jsonl:1: field label: expected neg_constraint_restate, "), ran.err


def repeated(values: list[list[float]]) -> tuple[list[Row], list[Row]]:
    """Task success of each task and replicate, as lines and rewards."""
    lines, rewards = [], []
    for task, outcomes in enumerate(values):
        for replicate, value in enumerate(outcomes):
            name = ACT_B["id"].replace("B/", f"task{task}/", 1) + f"~{replicate}"
            state = {**ACT_B["state"], "id": f"task{task}"}
            conversation = f"task{task}/pat/act/0"
            fields: dict[str, Any] = {"id": name, "state": state, "conversation": conversation, "replicate": replicate}
            lines.append({**ACT_B, **fields, "group": f"{conversation}/t0"})
            rewards.append({**REWARDS[3], "id": name, "task_score": value})
    return lines, rewards


def test_passes_over_replicates_are_exact(cli: Cli) -> None:
    lines, rewards = repeated([[1, 1, 0, 0], [1, 1, 1, 1]])
    report = json.loads(succeeded(cli("eval", *written(lines, rewards, []), "--no-plot", "--json")).out)
    # Task 0: two of four. pass@2 = 1 - 1/6, pass^2 = 1/6; task 1: always 1.
    assert metric(report, "act", "pass@2")["mean"] == pytest.approx((5 / 6 + 1) / 2)
    assert metric(report, "act", "pass^2")["mean"] == pytest.approx((1 / 6 + 1) / 2)
    assert metric(report, "act", "pass^4")["mean"] == pytest.approx(0.5)
    assert metric(report, "act", "pass@1")["mean"] == pytest.approx(0.75)
    success = metric(report, "act", "task_success_rate")
    assert (success["mean"], success["n"], success["tasks"]) == (0.75, 8, 2)


def test_the_spread_between_seeds_is_shown(cli: Cli) -> None:
    lines, rewards = repeated([[1, 0], [1, 1]])
    for line in lines:
        line.update(seed=line["replicate"], conversation=f"{line['conversation']}{line['replicate']}", replicate=0)
    report = json.loads(succeeded(cli("eval", *written(lines, rewards, []), "--no-plot", "--json")).out)
    spread = report["per_method"]["act"]["seeds"]["task_success_rate"]
    assert spread["means"] == {"0": 1.0, "1": 0.5}
    assert spread["sd"] == pytest.approx(math.sqrt(0.125))


def test_the_same_input_gives_the_same_files(cli: Cli) -> None:
    succeeded(cli("eval", *written()), 3)
    before = {path.name: path.read_bytes() for path in Path("eval").iterdir()}
    succeeded(cli("eval", *written()), 3)
    assert {path.name: path.read_bytes() for path in Path("eval").iterdir()} == before
    assert {"pareto.png", "pareto.svg", "report.html"} <= before.keys()


def test_rewards_whose_weights_no_file_says_are_measured_and_their_questions_have_no_worth(cli: Cli) -> None:
    """Copied without the meta file that `reward` wrote beside them."""
    arguments = written(rewards=[{**row, "spec": "default@1+0123456789abcdef"} for row in REWARDS])
    report = json.loads(succeeded(cli("eval", *arguments, "--no-plot", "--json"), 3).out)
    assert metric(report, "ask", "avg_interrupt_cost")["mean"] == pytest.approx((0.08 + 0.36) / 2)
    assert report["diagnoses"] == {}
    said = "No file beside the rewards says what default@1+0123456789abcdef weighs"
    assert any(warning.startswith(said) for warning in report["warnings"])


def test_a_metric_of_your_own(cli: Cli) -> None:
    plugin = EXAMPLES / "my_metric.py"
    assert len(plugin.read_text("utf-8").splitlines()) <= 15
    report = json.loads(succeeded(cli("eval", *written(), "--no-plot", "--plugin", plugin, "--json"), 3).out)
    # Ascending, please and Thanks; six words; One and two. ACT_B has no reply at all.
    assert metric(report, "ask", "avg_short_replies")["mean"] == pytest.approx((2 + 0 + 1) / 3)
    assert metric(report, "act", "avg_short_replies")["not_applicable"] == 1


@pytest.mark.parametrize(
    ("given", "kind", "reason"),
    [
        ("None", "mean", "gave None"),
        ("float('nan')", "mean", "gave nan"),
        ("'much'", "mean", "gave 'much'"),
        ("1e308", "mean", "gave 1e+308"),
        ("Weighted(1.0, 0.0)", "ratio", "gave Weighted(value=1.0, weight=0.0)"),
        ("Weighted(None, 1.0)", "ratio", "gave Weighted(value=None, weight=1.0)"),
        ("0.5", "rate", "gave 0.5"),
    ],
)
def test_a_metric_that_gives_no_value_is_named(cli: Cli, given: str, kind: str, reason: str) -> None:
    Path("bad.py").write_text(
        "from proact.metrics import metric\nfrom proact.metrics.base import Weighted\n\n\n"
        f"@metric('odd', unit='words', higher_is_better=True, kind={kind!r})\ndef odd(s):\n    return {given}\n"
    )
    ran = cli("eval", *written(), "--no-plot", "--plugin", "bad.py")
    assert ran.code == 2
    assert f"proact: metric 'odd' {reason} for " in ran.err
    assert "Traceback" not in ran.err
    assert not Path("eval").exists()


def test_a_metric_without_a_direction_cannot_be_registered(cli: Cli) -> None:
    Path("bad.py").write_text(
        "from proact.metrics import metric\n\n\n@metric('odd', unit='words')\ndef odd(s):\n    return 1\n"
    )
    ran = cli("eval", *written(), "--no-plot", "--plugin", "bad.py")
    assert ran.code == 2
    assert "higher_is_better" in ran.err
    Path("bad.py").write_text("from proact.metrics import metric\nmetric('odd', unit='words', higher_is_better=None)\n")
    ran = cli("eval", *written(), "--no-plot", "--plugin", "bad.py")
    assert ran.code == 2
    assert "must be True or False" in ran.err


def test_evidence_on_other_conversations_is_said_to_be_that(cli: Cli) -> None:
    others = [{**REWARDS[0], "id": "elsewhere"}]
    said = [verdict("elsewhere", "correctness", score=1.0, label="correct")]
    report = json.loads(cli("eval", *written([ASK_A], others, said), "--no-plot", "--json").out)
    assert [row.partition(":")[0] for row in report["warnings"][:2]] == [
        "The rewards are of other conversations",
        "The verdicts are of other conversations",
    ]
    own = written([ASK_A, ACT_A], [REWARDS[0]], [verdict(ASK_A["id"], "correctness", score=1.0)])
    assert "of other conversations" not in cli("eval", *own, "--no-plot").err


def test_plays_without_a_name_are_all_counted(cli: Cli) -> None:
    """The documents' lines name neither a play nor its conversation: a task played three times is three plays."""
    bare = {
        "state": {"query": "Sort the list.", "dialogue_turn": 0, "prev_reject": 0, "domain": "coding"},
        "persona": "pat",
        "action": "Execute",
        "is_mainline": True,
        "user_reaction": {"user_reply": "Fine.", "meta": {"satisfaction": 0.5}},
    }
    write_lines(
        "bare.jsonl", [{**bare, "assistant_msg": answer} for answer in ("One.", "Two words.", "Three of them.")]
    )
    succeeded(cli("eval", "bare.jsonl", "--no-plot"))
    rows = read_lines("data/eval/conversations.jsonl")
    assert [(row["replicate"], row["metrics"]["agent_token_count"]) for row in rows] == [(0, 1), (1, 2), (2, 3)]
