"""Keyring is what it says: exact values for any price, words that never name a number, real code, an honest user."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import fmean, stdev

import pytest
from support import Cli, succeeded

from proact.errors import UsageError
from proact.llm import Request
from proact.prompts import load
from proact.worlds import WORLDS, cues, exact, keyring

SYSTEM, CLARIFY = load("coding_clarify").fill(profile="")
_, EXECUTE = load("coding_execute").fill(profile="")
STATES = list(keyring.states(3 * len(exact.STARTS)))
FURTHER = list(keyring.further(2 * 168))


@pytest.mark.parametrize(
    ("alpha", "name", "worth"),
    [
        (0.3, "optimal", 0.3708),
        (0.3, "ask_rate", 0.5614),
        (0.3, "never", 0.2278),
        (0.3, "always", 0.2386),
        (0.3, "single_pair_sign", 0.2761),
        (0.1, "optimal", 0.5063),
        (0.1, "ask_rate", 0.8947),
        (0.1, "always", 0.4959),
        (0.1, "single_pair_sign", 0.2861),
        (0.6, "optimal", 0.2780),
        (0.6, "ask_rate", 0.2632),
    ],
)
def test_the_table_holds_the_check_values(alpha: float, name: str, worth: float) -> None:
    assert exact.table(alpha)[name] == pytest.approx(worth, abs=5e-5)


def test_policy_iteration_needs_more_than_one_round() -> None:
    assert exact.table(0.3)["policy_iteration"][:2] == pytest.approx([0.3417, 0.3684], abs=5e-5)


def test_a_tie_asks_and_two_starts_tie_at_a_price_of_six_tenths() -> None:
    strictly = sum(
        exact.clarify(start, 0.6, exact.value(exact.best(0.6), 0.6)) > exact.execute(start) + exact.TIE
        for start in exact.STARTS
    )
    assert strictly / len(exact.STARTS) == pytest.approx(0.2456, abs=5e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.017, 0.45, 3.0])
def test_any_alpha_is_computed(alpha: float) -> None:
    table = exact.table(alpha)
    assert table["optimal"] >= max(table["always"], table["never"], *table["policy_iteration"]) - 1e-12
    assert table["never"] == pytest.approx(exact.table(0.3)["never"])


def test_simulated_episodes_agree_with_the_exact_value() -> None:
    alpha, chance = 0.3, random.Random(11)
    asks = exact.best(alpha)

    def episode() -> float:
        node, cost = chance.choice(exact.STARTS), 0.0
        while node.slots and asks(node):
            cost += exact.QUESTION * alpha
            if chance.random() >= node.patience * exact.WEARIES**node.asked:
                cost += exact.REFUSAL * alpha
                break
            node = node._replace(slots=node.slots[1:], asked=node.asked + 1)
        return (chance.random() < node.skill * math.prod(node.slots)) - cost

    earned = [episode() for _ in range(200_000)]
    error = stdev(earned) / math.sqrt(len(earned))
    assert abs(fmean(earned) - exact.mean(asks, alpha)) < 3 * error


def test_the_command_prints_the_table_for_any_alpha() -> None:
    command = [sys.executable, "-m", "proact", "world", "keyring", "--alpha", "0.123", "--json"]
    printed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert printed["optimal"] == pytest.approx(exact.table(0.123)["optimal"])
    assert len(printed["starts"]) == 114


def test_there_are_114_starts_with_one_family_each() -> None:
    assert len(exact.STARTS) == len(set(exact.STARTS)) == 114
    once = STATES[:114]
    assert len({state.family for state in once}) == 114
    assert {state.task_uncertainty for state in STATES} == {keyring.UNCERTAINTY}
    assert [state.family for state in STATES[114:228]] == [state.family for state in once]
    assert all(one.query != two.query for one, two in zip(once, STATES[114:228], strict=True))


def test_held_out_starts_share_no_family_no_key_and_no_cue_with_the_others() -> None:
    def parts(split: str) -> tuple[set[str | None], set[str], str]:
        chosen = [state for state in STATES if state.split == split]
        if split == "train":
            chosen += FURTHER
        names = {name for state in chosen for name in state.metadata["guesses"]}
        return {state.family for state in chosen}, names, " ".join(state.query for state in chosen)

    trained, tested = parts("train"), parts("test")
    assert not trained[0] & tested[0]
    assert not trained[1] & tested[1]
    for kind in (cues.GUESS_CUES, cues.PATIENCE_CUES, cues.SKILL_CUES):
        assert not any(text in trained[2] for texts in kind["test"].values() for text in texts)
        assert not any(text in tested[2] for texts in kind["train"].values() for text in texts)
    assert Counter(state.split for state in STATES[:114]) == {"train": 78, "test": 36}


def test_further_starts_are_those_to_learn_from_and_all_of_four_keys() -> None:
    once = FURTHER[:168]
    assert {state.split for state in FURTHER} == {"further"}
    assert [state.family for state in once] == [state.family for state in FURTHER[168:]]
    assert len({state.family for state in once}) == 168
    assert Counter(len(state.facts) for state in once) == {1: 18, 2: 24, 3: 36, 4: 90}
    assert {state.family for state in once if len(state.facts) < 4} == {s.family for s in STATES if s.split == "train"}
    assert not {state.id for state in FURTHER} & {state.id for state in STATES}
    left = {exact.after(start).slots for start in exact.FURTHER}
    assert {slots for slots in keyring.TEST_SLOTS if len(slots) == 3} <= left
    assert max(len(row["slots"]) for row in exact.table(0.3)["starts"]) == 3


def test_a_split_that_the_world_has_not_is_refused(cli: Cli) -> None:
    world = ("generate", "--mode", "synthetic", "--world", "keyring", "--out", "t.jsonl", "--split")
    refused = cli(*world, "nowhere")
    assert (refused.code, refused.err.strip()) == (2, "proact: --split nowhere: keyring has further, test, train")
    played = succeeded(cli(*world, "further", "--n-states", 170, "--multi-turn", "--branches", 0, "--json"))
    assert json.loads(played.out)["states"] == 170


def test_every_cue_means_its_own_level_alone() -> None:
    for kind in (cues.GUESS_CUES, cues.PATIENCE_CUES, cues.SKILL_CUES):
        told = [(level, text) for levels in kind.values() for level, texts in levels.items() for text in texts]
        assert len({text for _, text in told}) == len(told)
        assert not [(one, other) for a, one in told for b, other in told if a != b and one in other]
        assert not [text for _, text in told if re.search(r"\d|per ?cent|half|probab", text)]


def test_no_text_names_a_value_and_the_assistant_reads_them_all_the_same() -> None:
    for state in STATES:
        words = re.sub(r"ring_\w+", "", state.query)
        assert not re.search(r"\d|per ?cent|half|probab", words), words
        heard = keyring.read(state.query)
        assert heard.guesses == state.metadata["guesses"]
        assert heard.skill == state.metadata["skill"]
        assert not heard.told


def complete(messages: list[dict[str, str]], instruction: str, *, seed: int = 0, sample: int = 0) -> str:
    *earlier, last = messages
    final = [*earlier, {"role": "user", "content": f"{last['content']}\n\n{instruction}"}]
    request = Request(messages=[{"role": "system", "content": SYSTEM}, *final], seed=seed, sample=sample)
    return asyncio.run(keyring.Assistant().complete(request)).text


def test_the_assistant_passes_as_often_as_the_cues_say_and_asks_about_the_hardest_key() -> None:
    state = next(s for s in STATES if sorted(s.metadata["guesses"].values()) == [0.1, 0.5] and s.split == "train")
    names = sorted(state.metadata["guesses"], key=state.metadata["guesses"].__getitem__)
    said = [{"role": "user", "content": state.query}]
    assert f"{names[0]} key" in complete(said, CLARIFY)
    assert complete(said, CLARIFY, sample=1) != complete(said, CLARIFY, sample=0)
    told = next(fact.text for fact in state.facts if fact.id == names[0])
    said += [{"role": "assistant", "content": "?"}, {"role": "user", "content": told}]
    assert f"{names[1]} key" in complete(said, CLARIFY)
    right = state.tests[0].partition(" == ")[2] if state.tests else ""
    passed = [f"return {right}\n" in complete(said, EXECUTE, seed=seed) for seed in range(4000)]
    chance = 0.5 * state.metadata["skill"]
    assert abs(fmean(passed) - chance) < 3 * math.sqrt(chance * (1 - chance) / len(passed))


def test_the_user_answers_as_often_as_its_patience_and_the_questions_before_say() -> None:
    state = STATES[0]
    name = state.facts[0].id
    for asked in (0, 2):
        draws = [keyring.react(state, f"the {name} key?", asked, random.Random(seed))[1] for seed in range(4000)]
        chance = state.metadata["patience"] * 0.9**asked
        assert abs(fmean(meta.answered_clarification for meta in draws) - chance) < 3 * math.sqrt(0.25 / len(draws))
        assert all(meta.answer_clarity == meta.answered_clarification == len(meta.revealed) for meta in draws)
    generic = [keyring.react(state, "May I?", 0, random.Random(seed))[1] for seed in range(50)]
    assert not any(meta.revealed or meta.answered_clarification for meta in generic)


def test_the_assistant_refuses_tasks_of_others() -> None:
    with pytest.raises(UsageError, match="own world"):
        complete([{"role": "user", "content": "Write a function."}], EXECUTE)


def test_the_world_is_known_by_its_name() -> None:
    assert WORLDS["keyring"].turns == 5
    with pytest.raises(UsageError, match="there is: keyring"):
        WORLDS["nowhere"]


def test_the_plot_of_a_world_is_written(tmp_path: Path) -> None:
    out = tmp_path / "sweep.png"
    command = [sys.executable, "-m", "proact", "world", "keyring", "--plot", str(out)]
    subprocess.run(command, capture_output=True, check=True)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_the_plot_of_a_world_is_of_the_split_and_of_a_known_form(cli: Cli) -> None:
    drawn = {}
    for name, split in (("all", ()), ("test", ("--split", "test")), ("again", ("--split", "test"))):
        for form in ("svg", "pdf"):
            succeeded(cli("world", "keyring", "--plot", f"{name}.{form}", *split))
            drawn[name, form] = Path(f"{name}.{form}").read_bytes()
    assert drawn["test", "pdf"].startswith(b"%PDF")
    for form in ("svg", "pdf"):
        assert drawn["test", form] == drawn["again", form] != drawn["all", form]
    ran = cli("world", "keyring", "--plot", "c.txt")
    complaint = "proact: c.txt: expected a name that ends in .png, .pdf or .svg\n"
    assert (ran.code, ran.out, ran.err) == (2, "", complaint)


def test_a_world_cannot_be_drawn_without_matplotlib_and_says_only_that(fresh_cli: Cli) -> None:
    Path("matplotlib.py").write_text("raise ImportError\n")
    ran = fresh_cli("world", "keyring", "--plot", "c.png", PYTHONPATH=f".:{os.environ.get('PYTHONPATH', '')}")
    assert (ran.code, ran.err) == (2, "proact: pictures need matplotlib: pip install 'proact[plot]'\n")


def test_further_starts_have_exact_values_too(cli: Cli) -> None:
    report = json.loads(succeeded(cli("world", "keyring", "--split", "further", "--alpha", 0.3, "--json")).out)
    assert Counter(len(start["slots"]) for start in report["starts"]) == {1: 18, 2: 24, 3: 36, 4: 90}
    values = [max(start["execute"], start["clarify"]) for start in report["starts"]]
    assert report["optimal"] == pytest.approx(fmean(values))
    assert report["optimal"] > max(report["always"], report["never"])
