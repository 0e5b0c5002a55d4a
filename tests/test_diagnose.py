"""diagnose finds what is known to be there: exact values, leaks, constant policies, an unfair simulator."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rows import line
from support import Cli, Row, persona, read_lines, state, succeeded, write_lines

from proact.cache import cache_dir
from proact.llm import weights
from proact.records import Action, Persona, Reward, Trajectory
from proact.rewards.audit import Audit
from proact.rewards.breakeven import QUESTIONS, break_even, hopeless, table
from proact.rewards.constant import Constancy
from proact.rewards.decisions import Decision, Value, decisions
from proact.rewards.pairs import Row as Earned
from proact.rewards.specs import SPECS
from proact.rewards.worth import breakdown, correlation, figures
from proact.worlds import exact

KEPT = cache_dir()
"""Holds the weights, as it was before each test gets a cache of its own."""
LEAKY = Path(__file__).parent / "data/leaky_user.py"
KEYRING = (
    "generate",
    "--mode",
    "synthetic",
    "--world",
    "keyring",
    "--arms",
    "all",
    "--branches",
    1,
    "--out",
    "t.jsonl",
)


def diagnosed(cli: Cli, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(succeeded(cli("diagnose", "t.jsonl", *arguments, "--json")).out)
    return found


def test_the_exact_values_of_keyring_are_recovered(cli: Cli) -> None:
    succeeded(cli(*KEYRING, "--seed", 5))
    report = diagnosed(cli, "--alpha", 0.3)
    truth = exact.table(0.3)
    overall = report["worth"][0]["figures"]
    wanted = {"EVPI": truth["evpi"], "gross VoI": truth["gross_voi"], "net VoI": truth["net_voi"], "leak": 0.0}
    wanted |= {"V Execute": truth["never"], "V oracle": 0.9, "efficiency": truth["gross_voi"] / truth["evpi"]}
    for name, worth in wanted.items():
        assert overall[name]["low"] <= worth <= overall[name]["high"], name
        assert (overall[name]["n"], overall[name]["missing"], overall[name]["not_applicable"]) == (114, 0, 0)
    assert report["constant_policy"] is None
    audit = report["simulator"]
    assert audit["unasked"]["mean"] == audit["invented"]["mean"] == audit["repeated"]["mean"] == 0
    assert report["break_even"] == []


def test_a_leak_is_found(cli: Cli) -> None:
    succeeded(cli(*KEYRING, "--n-states", 60, "--user-model", "leaky", "--plugin", LEAKY))
    report = diagnosed(cli, "--alpha", 0.3)
    assert report["worth"][0]["figures"]["leak"]["low"] > 0.2
    assert report["simulator"]["unasked"]["mean"] > 0.5
    assert any("the simulated user leaks" in finding for finding in report["findings"])


SOURCE_PERSONAS = [
    {"name": "engineer", "domain": "coding", "patience": "mid", "expertise": "high"},
    {"name": "student", "domain": "coding", "patience": "high", "expertise": "low"},
    {"name": "manager", "domain": "coding", "patience": "low", "expertise": "mid"},
]


def test_with_the_weights_of_the_source_two_questions_cannot_pay(cli: Cli) -> None:
    write_lines("personas.jsonl", SOURCE_PERSONAS)
    flags = ("--mode", "synthetic", "--n-states", 6, "--branches", 1, "--personas", "personas.jsonl")
    succeeded(cli("generate", *flags, "--out", "t.jsonl"))
    report = diagnosed(cli, "--spec", "strict")
    gains = {row["persona"]: row["gains"] for row in report["break_even"]}
    assert gains["engineer"][0] == pytest.approx(0.889, abs=1e-3)
    assert gains["manager"][0] == pytest.approx(3.667, abs=1e-3)
    assert any(finding.startswith("Two questions in a message cannot pay") for finding in report["findings"])
    assert "Two questions in a message cannot pay" in succeeded(cli("diagnose", "t.jsonl", "--spec", "strict")).out


def test_break_even_is_the_expected_cost_over_the_chance_of_a_clear_answer() -> None:
    who = Persona(name="x", patience="high", expertise="mid")
    alpha, questions = 0.2, 2
    cost = alpha * (0.4 * questions + 1.0 * 0.1)
    assert break_even(who, questions, SPECS["default"]) == pytest.approx(cost / (0.9 * 0.6))
    assert break_even(who, 1, SPECS["per-turn"]) == pytest.approx(0.1 * 0.75 / (0.9 * 0.6))
    assert hopeless(table([who], SPECS["default"])) is None
    assert hopeless([{"gains": [inf] * len(QUESTIONS)}]) == 1


def decision(asking: list[float], answering: list[float], **fields: Any) -> Decision:
    def values(rewards: list[float]) -> dict[int, Value]:
        return {replicate: Value(reward, max(reward, 0.0), 0.0) for replicate, reward in enumerate(rewards)}

    given = {"task": "t", "family": "f", "persona": "p", "uncertainty": "low", "turn": 0}
    arms = {"Clarify": values(asking), "Execute": values(answering)}
    return Decision(**{**given, **fields}, values=arms, missing=frozenset(), played=frozenset(arms))


def constancy(found: list[Decision]) -> Constancy:
    constant = Constancy()
    for each in found:
        constant.add(each)
    return constant


def test_without_replicates_one_decision_to_the_contrary_is_enough() -> None:
    never = [decision([0.1], [0.5]), decision([0.4], [0.4])]
    assert constancy(never).action == "Execute"
    assert constancy([*never, decision([0.9], [0.5])]).action is None
    assert constancy([]).action is None
    assert constancy([decision([0.4], [0.4])]).action is None


@pytest.mark.parametrize(("spread", "action"), [(0.0, "Execute"), (0.6, None)])
def test_with_replicates_luck_is_told_from_a_difference_between_states(spread: float, action: Action | None) -> None:
    chance = Random(3)

    def drawn(mean: float) -> list[float]:
        return [mean + chance.gauss(0, 0.5) for _ in range(4)]

    found = [decision(drawn(-0.3 + chance.gauss(0, spread)), drawn(0.0), task=str(k)) for k in range(300)]
    constant = constancy(found)
    assert constant.action == action
    assert (constant.gain or 0.0) == pytest.approx(0.118 if spread else 0.0, abs=0.03)


def test_pairing_shows_as_correlation_and_less_variance() -> None:
    chance = Random(1)
    found = []
    for task in range(200):
        easy = chance.random()
        luck = [chance.gauss(0, 0.2) for _ in range(3)]
        found.append(decision([easy + 0.1 + noise for noise in luck], [easy + noise for noise in luck], task=str(task)))
    shared = correlation(found)
    assert shared["within"] == pytest.approx(1.0)
    assert shared["across"] == pytest.approx(1.0)
    assert shared["variance_ratio"] == pytest.approx(0.0, abs=1e-9)
    assert correlation([decision([0.1], [0.2])])["within"] is None


def test_tasks_and_not_decisions_are_counted_and_intervals_are_t() -> None:
    found = [decision([0.6], [0.4], task="a"), decision([0.8], [0.4], task="a"), decision([0.5], [0.4], task="b")]
    net = figures(found)["net VoI"]
    assert net["n"] == 2
    assert net["mean"] == pytest.approx(0.2)
    assert net["high"] - net["mean"] == pytest.approx(12.706 * 0.1, rel=1e-3)
    leak = figures(found)["leak"]
    assert (leak["mean"], leak["n"], leak["missing"], leak["not_applicable"]) == (None, 0, 0, 2)


def test_breakdown_names_families_personas_and_bins() -> None:
    found = [decision([1.0], [0.0], persona=name, family=name, uncertainty="high") for name in ("x", "y")]
    parts = {(part["by"], part["of"]) for part in breakdown(found)}
    assert parts == {("overall", ""), ("persona", "x"), ("persona", "y"), ("family", "x"), ("family", "y")}


def earned(row: Row, total: float | None) -> Earned:
    import msgspec

    trajectory = msgspec.convert(row, Trajectory)
    if total is None:
        return Earned(trajectory, None)
    reward = Reward(
        id=trajectory.id,
        group=trajectory.group,
        status="pass",
        task_score=total,
        interrupt_cost=0.0,
        total=total,
        spec="x",
    )
    return Earned(trajectory, reward)


def test_a_reward_that_could_not_be_had_is_missing_and_a_forced_turn_is_no_decision() -> None:
    answers: list[tuple[str, str, Row]] = [("Execute", "Done.", {})]
    asks: list[tuple[str, str, Row]] = [("Clarify", "Which one?", {}), *answers]
    rows = [
        earned(line("mainline", asks, group="a"), 0.5),
        earned(line("other", answers, group="a"), None),
        earned(line("mainline", answers, group="b", forced=True), 1.0),
    ]
    found = list(decisions(rows, 1.0))
    assert len(found) == 1
    assert figures(found)["net VoI"]["missing"] == 1
    assert figures(found)["net VoI"]["n"] == 0


def test_the_simulator_audit_reads_what_was_said() -> None:
    facts = [
        {"id": "size", "text": "The size is 42 metres.", "about": "size, large"},
        {"id": "colour", "text": "It must be painted crimson.", "about": "colour, paint"},
    ]

    def played(*turns: tuple[str, str], **meta: Any) -> Trajectory:
        import msgspec

        steps = [("Clarify", question, meta) for question, _ in turns]
        row = line("mainline", [*steps, ("Execute", "Done.", {})], state=state(facts=facts), user_model="rule")
        for number, (_, reply) in enumerate(turns):
            row["messages"][2 * number + 2]["content"] = reply
        return msgspec.convert(row, Trajectory)

    def rates(*trajectories: Trajectory) -> dict[str, Any]:
        audit = Audit()
        for trajectory in trajectories:
            audit.add(trajectory)
        report = audit.report()
        return {name: report[name]["mean"] for name in ("unasked", "invented", "repeated", "early_stops")}

    fair = played(("How large is it?", "The size is 42 metres."))
    assert rates(fair) == {"unasked": 0, "invented": 0, "repeated": 0, "early_stops": 0}
    assert rates(played(("How large is it?", "It must be painted crimson.")))["unasked"] == 1
    assert rates(played(("How large is it?", "About 77 metres.")))["invented"] == 1
    twice = [("How large is it?", "The size is 42 metres.")] * 2
    assert rates(played(*twice, answered_clarification=1, revealed=["size"]))["repeated"] == 0.5
    assert rates(played(("How large is it?", "Just do it."), reject_signal=1))["early_stops"] == 1


def test_patience_is_compared_with_its_table(cli: Cli) -> None:
    write_lines("personas.jsonl", [persona("hasty", patience="low"), persona("calm", patience="high")])
    flags = ("--mode", "synthetic", "--n-states", 30, "--branches", 1, "--policy", "always-clarify", "--persona", "all")
    succeeded(cli("generate", *flags, "--arms", "all", "--personas", "personas.jsonl", "--out", "t.jsonl"))
    patience = {row["persona"]: row for row in diagnosed(cli)["simulator"]["patience"]}
    # The placebo meets the same chance as the question, which counts once.
    assert {row["observed"]["n"] for row in patience.values()} == {30}
    assert all(row["n_clarity"] > 0 for row in patience.values())
    assert patience["hasty"]["specified"] == pytest.approx(0.3)
    assert patience["calm"]["specified"] == pytest.approx(0.9)
    assert patience["hasty"]["observed"]["mean"] < 0.6 < patience["calm"]["observed"]["mean"]


def test_rewards_are_taken_with_their_own_spec_or_weighed_anew(cli: Cli) -> None:
    succeeded(cli("generate", "--mode", "synthetic", "--n-states", 8, "--branches", 1, "--out", "t.jsonl"))
    reward = ("reward", "--trajectories", "t.jsonl", "--rewards", "r.jsonl", "--out", "p.jsonl")
    succeeded(cli(*reward, "--alpha", 0.5))
    own = diagnosed(cli, "--rewards", "r.jsonl")
    assert own["worth"] == diagnosed(cli, "--alpha", 0.5)["worth"]
    succeeded(cli(*reward))
    assert diagnosed(cli, "--rewards", "r.jsonl", "--alpha", 0.5)["worth"] == own["worth"]


def test_the_pairs_file_says_what_diagnose_says_about_a_constant_policy(cli: Cli) -> None:
    succeeded(cli("generate", "--mode", "synthetic", "--n-states", 8, "--branches", 1, "--out", "t.jsonl"))
    reward = ("reward", "--trajectories", "t.jsonl", "--rewards", "r.jsonl", "--out", "p.jsonl")
    for alpha, action in ((100, "Execute"), (0.05, None)):
        succeeded(cli(*reward, "--alpha", alpha))
        noted = json.loads(Path("p.meta.json").read_text("utf-8"))["constant_policy"]
        report = diagnosed(cli, "--rewards", "r.jsonl")
        assert noted == report["constant_policy"]
        if action:
            assert noted == action
            assert report["findings"][0].startswith("The best policy is constant: never ask.")


@pytest.mark.local_model
def test_the_embedded_model_and_the_shipped_twins_are_diagnosed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROACT_CACHE_DIR", str(KEPT))
    weights.fetch()
    flags = ("--split", "demo", "--n-states", 2, "--model", "local:smollm2", "--max-completion-tokens", 64)
    arms = ("--arms", "all", "--replicates", 2, "--branches", 1, "--out", "t.jsonl")
    succeeded(cli("generate", *flags, *arms))
    report = diagnosed(cli)
    assert len(read_lines("t.jsonl")) == 16
    overall = report["worth"][0]["figures"]
    assert overall["EVPI"]["n"] == overall["leak"]["n"] == 2
    assert any("only 2 tasks" in finding for finding in report["findings"])


def test_rewards_that_are_missing_are_counted(cli: Cli) -> None:
    succeeded(cli(*KEYRING, "--n-states", 12))
    succeeded(cli("reward", "--trajectories", "t.jsonl", "--rewards", "r.jsonl", "--out", "p.jsonl"))
    rows = read_lines("r.jsonl")
    assert diagnosed(cli, "--rewards", "r.jsonl")["missing"] == 0
    write_lines("r.jsonl", rows[2:])
    ran = succeeded(cli("diagnose", "t.jsonl", "--rewards", "r.jsonl"), 3)
    assert "2 trajectories have no reward and are in no figure" in ran.err


def test_the_page_of_eval_holds_the_diagnosis(cli: Cli) -> None:
    succeeded(cli(*KEYRING, "--n-states", 12))
    succeeded(cli("reward", "--trajectories", "t.jsonl", "--rewards", "r.jsonl", "--out", "p.jsonl"))
    alone = diagnosed(cli, "--rewards", "r.jsonl")
    cli("eval", "t.jsonl", "--rewards", "r.jsonl", "--out", "e", "--no-plot")
    beside = json.loads(Path("e/comparison.json").read_text("utf-8"))["diagnoses"]["t.jsonl"]
    assert beside["worth"] == alone["worth"]
    assert beside["findings"] == alone["findings"]
    page = Path("e/report.html").read_text("utf-8")
    evpi = alone["worth"][0]["figures"]["EVPI"]["mean"]
    assert f">{evpi:.3f} (" in page.partition('id="worth"')[2]
