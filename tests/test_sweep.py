"""The sweep says what reward would, explain says why, and neither runs anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rows import line, reward_rows
from support import ASKS, REPOSITORY, RIGHT, WRONG, Cli, Row, persona, read_lines, state, succeeded, write_lines

from proact.rewards.specs import spec_named
from proact.stages.reward import RewardRun, Settings

FILES = ("--trajectories", "t.jsonl", "--rewards", "rewards.jsonl")
LONG = "word " * 201 + "?"


def group(number: int, execute: str, clarify: str, meta: Row, *, replicates: int = 1) -> list[Row]:
    """Execute at once on the mainline, ask and then execute on the other branch."""
    rows = []
    name = f"g{number}"
    task = state(name)
    for replicate in range(replicates):
        fields: dict[str, Any] = {
            "group": name,
            "replicate": replicate,
            "state": task,
            "persona": persona(f"p{number % 2}"),
        }
        answer = execute if replicate % 2 == 0 else RIGHT
        rows.append(line("mainline", [("Execute", answer, {})], **fields))
        rows.append(line("other", [("Clarify", ASKS, meta), ("Execute", clarify, {})], **fields))
    return rows


@pytest.fixture
def played(cli: Cli) -> Cli:
    rows = [
        *group(0, WRONG, RIGHT, {"answered_clarification": 1}),
        *group(1, RIGHT, RIGHT, {"reject_signal": 1}),
        *group(2, WRONG, WRONG, {"off_topic_flag": 1}),
        *group(3, WRONG, RIGHT, {"reject_signal": 1, "off_topic_flag": 1}, replicates=3),
        *group(4, RIGHT, WRONG, {}),
        line("mainline", [("Execute", RIGHT, {})], group="alone", state=state("alone")),
        # A placebo is a measurement beside the pair, never a part of it.
        line(
            "placebo",
            [("Clarify", ASKS, {}), ("Execute", RIGHT, {})],
            group="g2",
            state=state("g2"),
            persona=persona("p0"),
        ),
        *[line(b, [("Clarify", LONG, {}), ("Execute", RIGHT, {})], group="long", state=state("l")) for b in ("other",)],
        line("mainline", [("Execute", WRONG, {})], group="long", state=state("l")),
    ]
    write_lines("t.jsonl", rows)
    reward_rows(cli, "--no-thin")
    return cli


WEIGHTINGS: list[dict[str, float]] = [
    {},
    {"alpha": 0.7},
    {"alpha": 1.3, "w_reject": 2.5},
    {"w_questions": 0.0, "w_off_topic": 3.0},
    {"w_long": 9.0, "w_task": 0.5},
]


def rewarded(weights: dict[str, float], *, thin: bool) -> None:
    """What `proact reward` does, without a process of its own."""
    RewardRun(
        Settings(
            trajectories="t.jsonl",
            rewards="again.jsonl",
            out="pairs.jsonl",
            spec=spec_named("default", weights),
            thin=thin,
        )
    ).run()


@pytest.mark.parametrize("thin", [True, False])
def test_the_pairs_of_a_weighting_are_those_of_reward_with_it(played: Cli, thin: bool) -> None:
    for weights in WEIGHTINGS:
        flags = [part for name, value in weights.items() for part in (f"--{name.replace('_', '-')}", value)]
        succeeded(played("sweep", *FILES, *flags, "--pairs", "swept.jsonl", "--thin" if thin else "--no-thin"))
        rewarded(weights, thin=thin)
        assert Path("swept.jsonl").read_bytes() == Path("pairs.jsonl").read_bytes()


def test_every_weighting_of_a_grid_chooses_as_reward_does(played: Cli) -> None:
    succeeded(played("sweep", *FILES, "--alpha", "0:2:0.5", "--w-reject", "0:2:1", "--out", "sweep.jsonl"))
    flips = {row["group"]: row for row in read_lines("flips.jsonl")}
    swept = read_lines("sweep.jsonl")
    assert len(swept) == 15
    rewarded({}, thin=False)
    unchanged = {row["group"]: row["chosen_action"] for row in read_lines("pairs.jsonl")}
    for one in swept:
        rewarded(one["weights"], thin=False)
        pairs = {row["group"]: row["chosen_action"] for row in read_lines("pairs.jsonl")}
        assert one["pairs"] == len(pairs)
        assert one["chosen"] == {action: [*pairs.values()].count(action) for action in ("Clarify", "Execute")}
        both = pairs.keys() & unchanged.keys()
        assert one["flips"] == sum(pairs[name] != unchanged[name] for name in both)
        assert one["vanish"] == len(unchanged.keys() - pairs.keys())
        assert one["appear"] == len(pairs.keys() - unchanged.keys())
        changed = {name for name in {*pairs, *unchanged} if pairs.get(name) != unchanged.get(name)}
        assert changed == {name for name, flip in flips.items() if one["id"] in flip["other_at"]}


def test_ten_thousand_trajectories_under_two_hundred_weightings_take_seconds() -> None:
    bench = [sys.executable, str(REPOSITORY / "bench/sweep.py")]
    done = subprocess.run(bench, capture_output=True, text=True, check=True, timeout=120)
    figures = done.stdout.split(": ")[1].split()
    assert float(figures[3]) < 20, "seconds of CPU"
    assert float(figures[6]) < 500, "MB"


def test_a_dearer_question_is_asked_less_and_the_front_is_marked(played: Cli) -> None:
    report = json.loads(succeeded(played("sweep", *FILES, "--alpha", "0:6:0.25", "--out", "s.jsonl", "--json")).out)
    asks = [one["chosen"]["Clarify"] for one in report["weightings"]]
    assert asks == sorted(asks, reverse=True)
    assert asks[0] > asks[-1] == 0
    points = [(one["policy_cost"], one["policy_success"], one["on_front"]) for one in report["weightings"]]
    for cost, success, on_front in points:
        beaten = any(c <= cost and s >= success and (c, s) != (cost, success) for c, s, _ in points)
        assert on_front is not beaten


def test_the_break_even_is_where_both_actions_are_worth_the_same(played: Cli) -> None:
    succeeded(played("sweep", *FILES, "--alpha", "0:4:0.5", "--out", "s.jsonl"))
    flips = {row["group"]: row for row in read_lines("flips.jsonl")}
    # Group 0: the question earns 1 and costs alpha x 0.4.
    assert flips["g0"]["break_even_alpha"] == pytest.approx(1 / 0.4)
    assert flips["g0"]["other_at"] == ["alpha=2.5", "alpha=3", "alpha=3.5", "alpha=4"]
    assert flips["g0"]["unchanged"] == "Clarify"


def test_where_no_price_makes_both_actions_equal_there_is_no_break_even(played: Cli) -> None:
    """In g4 the question costs the point that the answer had: it loses at every price."""
    for group, even in (("g0", pytest.approx(2.5)), ("g4", None)):
        found = json.loads(succeeded(played("explain", group, "--pairs", "pairs.jsonl", *FILES, "--json")).out)
        assert found["break_even_alpha"] == even


def test_weightings_that_differ_late_have_names_of_their_own(played: Cli) -> None:
    succeeded(played("sweep", *FILES, "--alpha", "0.1:0.1000003:0.0000001", "--out", "s.jsonl"))
    names = [row["id"] for row in read_lines("s.jsonl")]
    assert names == ["alpha=0.1", "alpha=0.1000001", "alpha=0.1000002", "alpha=0.1000003"]


def test_a_method_with_a_task_that_nothing_scores_has_no_place_on_the_front(played: Cli) -> None:
    bare = {**state("bare"), "tests": []}
    write_lines("t.jsonl", [*read_lines("t.jsonl"), line("mainline", [("Execute", RIGHT, {})], group="b", state=bare)])
    reward_rows(played, "--no-thin")
    succeeded(played("sweep", *FILES, "--out", "s.jsonl"))
    (method,) = read_lines("s.jsonl")[0]["methods"].values()
    assert (method["success"], method["on_front"]) == (None, False)


def test_a_sweep_runs_nothing_and_needs_no_cache(played: Cli) -> None:
    for file in Path("../cache").rglob("*"):
        if file.is_file():
            file.unlink()
    succeeded(played("sweep", *FILES, "--alpha", "0:1:0.5", "--out", "s.jsonl"))
    assert not [file for file in Path("../cache").rglob("*") if file.is_file()]


def test_one_weighting_is_needed_to_write_pairs(played: Cli) -> None:
    ran = played("sweep", *FILES, "--alpha", "0:1:0.5", "--pairs", "p.jsonl")
    assert (ran.code, "grid has 3" in ran.err) == (2, True)
    ran = played("sweep", *FILES, "--alpha", "1:0:0.5")
    assert (ran.code, "FROM:TO:STEP" in ran.err) == (2, True)


@pytest.mark.parametrize(
    "files",
    [
        ("--out", "rewards.jsonl"),
        ("--out", "./t.jsonl"),
        ("--out", "s/flips.jsonl"),
        ("--out", "s.jsonl", "--pairs", "t.jsonl"),
        ("--out", "s.jsonl", "--pairs", "s.jsonl"),
        ("--out", "s.jsonl", "--pairs", "flips.jsonl"),
    ],
)
def test_what_a_sweep_writes_takes_no_other_file_s_place(played: Cli, files: tuple[str, ...]) -> None:
    before = {path: path.read_bytes() for path in Path().iterdir()}
    ran = played("sweep", *FILES, *files)
    assert (ran.code, "must be different files" in ran.err or "of this name" in ran.err) == (2, True), ran.err
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--component", "nosuch=1"), "no component called 'nosuch'; the rewards hold: answered, "),
        (("--component", "=1"), "no component called ''; the rewards hold: answered, "),
        (("--alpha", "-1:0:1"), "--alpha -1:0:1: expected no weight below 0"),
        (("--w-task", "-2"), "--w-task -2: expected no weight below 0"),
    ],
)
def test_weights_of_nothing_and_below_nothing_are_refused(played: Cli, flags: tuple[str, ...], said: str) -> None:
    ran = played("sweep", *FILES, *flags, "--out", "s.jsonl")
    assert (ran.code, said in ran.err) == (2, True), ran.err
    assert not Path("s.jsonl").exists()


def test_a_component_may_weigh_less_than_nothing(played: Cli) -> None:
    succeeded(played("sweep", *FILES, "--component", "n_turns=-1:0:1", "--out", "s.jsonl"))


def test_missing_rewards_are_counted_and_the_rest_is_swept(played: Cli) -> None:
    rows = [row for row in read_lines("rewards.jsonl") if row["id"] != "g0/other"]
    write_lines("rewards.jsonl", rows)
    report = json.loads(succeeded(played("sweep", *FILES, "--out", "s.jsonl", "--json"), 3).out)
    assert report["missing"] == 1


def test_explain_gives_every_number_of_a_pair(played: Cli) -> None:
    arguments = ("--pairs", "pairs.jsonl", *FILES, "--json")
    found = json.loads(succeeded(played("explain", "g3/pair", *arguments)).out)
    pair = next(row for row in read_lines("pairs.jsonl") if row["id"] == "g3/pair")
    for name in ("chosen_action", "margin", "margin_se", "p_better", "replicates", "rewards", "task_scores"):
        assert found["pair"][name] == pair[name]
    totals = {row["id"]: row["total"] for row in read_lines("rewards.jsonl")}
    for row in found["rows"]:
        assert sum(part["adds"] for part in row["parts"]) == pytest.approx(totals[row["id"]])
    shown = succeeded(played("explain", "g3/pair", *arguments[:-1]))
    assert f"; replicates {pair['replicates']}, weight {pair['weight']:.3f}" in shown.err


def test_a_note_beside_the_rewards_that_is_no_spec_is_named(played: Cli) -> None:
    reward_rows(played, "--alpha", 0.3)
    for spec, reason in (
        ({"name": 3}, "Expected `str`, got `int` - at `$.name`"),
        ([], "Expected `object`, got `array`"),
    ):
        Path("rewards.meta.json").write_text(json.dumps({"spec": spec}), "utf-8")
        for command in (
            ("diagnose", "t.jsonl", "--rewards", "rewards.jsonl"),
            ("explain", "g0", *FILES, "--pairs", "pairs.jsonl"),
        ):
            ran = played(*command)
            assert ran.code == 2
            assert ran.err.endswith(f"proact: rewards.meta.json: field spec: is no reward spec ({reason})\n")


def test_pairs_of_a_sweep_are_noted_and_explained_as_those_of_reward(played: Cli) -> None:
    """Group g0 earns 1 by a question, which costs alpha x 0.4: 0.92 at first, and 0.4 at the swept price of 1.5."""
    swept = ("--alpha", 1.5, "--pairs", "pairs.jsonl", "--out", "s.jsonl")
    succeeded(played("sweep", *FILES, *swept))
    noted = Path("pairs.meta.json").read_bytes()
    found = json.loads(succeeded(played("explain", "g0", "--pairs", "pairs.jsonl", *FILES, "--json")).out)
    assert {row["action"]: row["total"] for row in found["rows"]} == {"Clarify": pytest.approx(0.4), "Execute": 0.0}
    assert all(sum(part["adds"] for part in row["parts"]) == pytest.approx(row["total"]) for row in found["rows"])
    assert found["pair"]["margin"] == pytest.approx(0.4)
    rewarded({"alpha": 1.5}, thin=True)
    assert Path("pairs.meta.json").read_bytes() == noted
    assert json.loads(noted)["thinned"] is True
    Path("pairs.meta.json").unlink()
    kept = read_lines("pairs.jsonl")[0]["group"]
    ran = played("explain", kept, "--pairs", "pairs.jsonl", *FILES)
    assert (ran.code, "whose weights no file says" in ran.err) == (2, True)


def test_a_sweep_begins_with_the_spec_of_its_rewards(played: Cli) -> None:
    """Of other counts there are no others: another spec weighs those that the rewards hold."""
    made = ("--long-words", "3", "--w-reject", "2")
    reward_rows(played, *made, "--no-thin")
    report = json.loads(succeeded(played("sweep", *FILES, "--pairs", "swept.jsonl", "--no-thin", "--json")).out)
    assert Path("swept.jsonl").read_bytes() == Path("pairs.jsonl").read_bytes()
    assert report["spec"] == read_lines("rewards.jsonl")[0]["spec"] != "default@1"
    succeeded(played("sweep", *FILES, "--spec", "default", "--pairs", "swept.jsonl", "--no-thin"))
    reward_rows(played, "--long-words", "3", "--no-thin")
    assert Path("swept.jsonl").read_bytes() == Path("pairs.jsonl").read_bytes()


@pytest.mark.parametrize("command", ["reward", "sweep", "diagnose"])
def test_prices_of_its_own_are_not_changed(played: Cli, command: str) -> None:
    files = ("--trajectories", "t.jsonl") if command == "reward" else FILES if command == "sweep" else ("t.jsonl",)
    ran = played(command, *files, "--spec", "per-turn", "--alpha", 2)
    assert (ran.code, ran.err) == (2, "proact: spec per-turn has prices of its own, and no alpha\n")


def test_explain_tells_what_is_compared_from_what_is_not(played: Cli) -> None:
    arguments = ("explain", "g2", "--pairs", "pairs.jsonl", *FILES)
    found = json.loads(succeeded(played(*arguments, "--json")).out)
    compared = {row["branch"]: row["counts_in_pair"] for row in found["rows"]}
    assert compared == {"mainline": True, "other": True, "placebo": False}
    assert "placebo, not compared" in succeeded(played(*arguments)).out


def test_explain_says_why_a_group_gave_no_pair(played: Cli) -> None:
    arguments = ("--pairs", "pairs.jsonl", *FILES, "--json")
    found = json.loads(succeeded(played("explain", "alone", *arguments)).out)
    assert (found["pair"], found["reason"]) == (None, "one action only")
    reward_rows(played)
    thinned = json.loads(Path("pairs.meta.json").read_text())["groups_without_pair"]
    name = next(group for group, reason in thinned.items() if reason == "thinned")
    found = json.loads(succeeded(played("explain", name, *arguments)).out)
    assert (found["in_file"], found["reason"]) == (False, "thinned")
    assert found["pair"]["margin"] > 0
    assert played("explain", "nobody", *arguments).code == 2
