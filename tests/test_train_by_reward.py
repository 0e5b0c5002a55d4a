"""The loss `reward`: what it computes, what probability it leads to, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from operator import mul
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
import pytest
from support import Cli, Row, Zygote, read_lines, write_lines
from tiny import means, pair, pairs, trained

from proact.llm import causal
from proact.policies import Decision, Trained
from proact.records import Persona, PreferencePair, State
from proact.render import action_prompt
from proact.training import dpo, examples, lengths
from proact.training.plan import Options, plan
from proact.training.progress import Course

torch = pytest.importorskip("torch")


@pytest.fixture
def cli(learner: Zygote) -> Cli:
    return learner


BY_REWARD = ("--loss", "reward")


REWARDED = {True: (0.8, 0.4), False: (0.3, 0.5)}
"""What Clarify and Execute earn where a request says that it must be asked about, and where it does not."""


def rewarded(number: int, asks: bool) -> Row:
    clarify, execute = REWARDED[asks]
    earned = {"chosen": max(clarify, execute), "rejected": min(clarify, execute)}
    return pair(number, asks, rewards=earned, weight=abs(clarify - execute))


def test_by_reward_the_chance_of_asking_says_how_much_it_is_worth(cli: Cli, base: Path) -> None:
    """Logistic of advantage over beta: 1 / (1 + exp(-0.4 / 0.2)) = 0.88 and 1 / (1 + exp(0.2 / 0.2)) = 0.27."""
    write_lines("pairs.jsonl", [rewarded(n, n % 3 == 0) for n in range(60)])
    report = trained(cli, base, *BY_REWARD, "--beta", 0.2, "--lr", 0.01, "--epochs", 10, "--eval-fraction", 0.1)
    assert (report["settings"]["loss"], report["settings"]["beta"]) == (["reward"], 0.2)
    # Pairs are not drawn by what they weigh: each one comes once.
    assert report["pairs"] == 60
    assert report["metrics"]["eval_accuracy"] == 1.0
    policy = Trained("policy")
    for number in range(61, 67):
        for asks, expected in ((True, 0.88), (False, 0.27)):
            assert chance_of_asking(policy, rewarded(number, asks)) == pytest.approx(expected, abs=0.08)


def test_the_loss_by_reward_is_as_documented(cli: Cli, base: Path) -> None:
    """beta ((d_clarify^2 + d_execute^2) / 2 + (d_clarify - d_execute)^2) with beta 0.5; d is how far from its goal.

    It is that of each distance less the batch's mean, and with a weight that of the two means: a tenth up to half of
    the training, where six tenths are done 0.1 + 0.9 * 0.2, where nine are 0.1 + 0.9 * 0.8. A batch are all 8 pairs.

    Half of them were played 96 times and half 32 times, 64 in the mean: they weigh 96 / 64 = 1.5 and 32 / 64 = 0.5.

    The cross-entropy of what a question is about comes with a half at the first step, with a quarter where three tenths
    of the training are done, and no more from six tenths on. It is about, of its words that the dialogue has ("it",
    "must" and "what" where the user must be asked, else "it"), the one in the fewest questions.

    Goals lie (0.8 - 0.5) / 0.5 = 0.6 and (0.4 - 0.5) / 0.5 = -0.2 from the level where asking is better, and
    (0.3 - 0.5) / 0.5 = -0.4 and (0.5 - 0.5) / 0.5 = 0 where it is not; the mean reward is 0.5.
    """
    rows = [rewarded(n, n < 4) for n in range(8)]
    for row in rows[:4]:
        row["chosen_text"] = "Do tell, it must do what?"
    weights = [1.5, 0.5] * 4
    for row, played in zip(rows, [96, 32] * 4, strict=True):
        row["replicates"] = played
    write_lines("pairs.jsonl", rows)
    trained(cli, base, *BY_REWARD, "--beta", 0.5, "--epochs", 10, "--lr", 1e-12, "--eval-fraction", 0)
    model, tokenizer, _ = causal.load(str(base))
    # The training multiplies in 16 bits.
    with causal.arithmetic("cpu"):
        said = [means(model, tokenizer, prompt_of(row)) for row in rows]
    level = fmean(value for both in said for value in both)
    goals = {True: (0.6, -0.2), False: (-0.4, 0.0)}
    distances = []
    for row, (clarify, execute) in zip(rows, said, strict=True):
        asked, answered = goals[row["chosen_action"] == "Clarify"]
        distances.append((clarify - level - asked, execute - level - answered))
    mean = [fmean(map(mul, side, weights)) for side in zip(*distances, strict=True)]
    apart = fmean(w * squares(d - mean[0], e - mean[1]) for w, (d, e) in zip(weights, distances, strict=True))
    about = [" must"] * 4 + [" it"] * 4
    foretold = fmean(means(model, tokenizer, prompt_of(row), word)[0] for row, word in zip(rows, about, strict=True))
    course = {row["step"]: row["loss"] for row in read_lines("policy/train.jsonl") if "loss" in row}
    for step, weight, common in ((1, 0.5, 0.1), (4, 0.25, 0.1), (7, 0.0, 0.28), (10, 0.0, 0.82)):
        expected = 0.5 * (apart + squares(*mean) * common) - weight * foretold
        assert course[step] == pytest.approx(expected, rel=0.01, abs=0.03 if causal.short_floats() else 0)


def test_by_reward_every_row_is_read_below_in_one_layout_before_the_first_step(base: Path, tmp_path: Path) -> None:
    """What rows read together hangs by a last bit on one another. A training that is resumed in its second epoch must
    read a row beside those that it first stood beside, so no step may be the first to read it."""
    model, tokenizer = dpo.base_model(str(base), qlora=False)
    told = Options(model=str(base), loss="reward", lora=False, layers=1, epochs=2, batch_size=50)
    chosen = plan(told, model.num_parameters(), causal.layers(model))
    found = [msgspec.convert(rewarded(n, n % 2 == 0), PreferencePair) for n in range(200)]
    rows = lengths.fitting(tokenizer, [{**examples.row(one, "action"), **examples.facts(one)} for one in found], 1024)
    course = Course(tmp_path / "train.jsonl")
    below: list[int] = []
    model.base_model.layers[0].register_forward_hook(lambda *_: below.append(course.last("loss") is not None))
    kinds: list[set[Any]] = [set(), set()]
    for layer, found_there in zip(model.base_model.layers, kinds, strict=True):
        layer.self_attn.q_proj.register_forward_hook(lambda _, __, out, there=found_there: there.add(out.dtype))
    dpo.train(chosen, model, tokenizer, (rows, []), tmp_path, course, [])
    course.close()
    # It is in 32 bits that is told whether rows can be laid together.
    assert kinds[0] == kinds[1] == {torch.float32, torch.bfloat16 if chosen.short_floats else torch.float32}
    # Two passes tell whether rows can be laid together, and 200 pairs are read 100 at a time.
    assert (below, len(course.rows)) == ([False] * 4, 8)


def squares(clarify: float, execute: float) -> float:
    return (clarify**2 + execute**2) / 2 + (clarify - execute) ** 2


@pytest.mark.parametrize(
    ("meta", "message"),
    [({"pairs": "weighted", "thinned": True}, "holds thinned pairs"), ({"pairs": "best-worst"}, "best-worst pairs")],
)
def test_pairs_that_were_selected_by_their_margin_are_refused(cli: Cli, base: Path, meta: Row, message: str) -> None:
    write_lines("pairs.jsonl", [rewarded(n, n % 2 == 0) for n in range(8)])
    Path("pairs.meta.json").write_text(json.dumps(meta), "utf-8")
    ran = cli("train", "--data", "pairs.jsonl", "--model", base, "--loss", "reward")
    assert (ran.code, message in ran.err, "reward --no-thin" in ran.err) == (2, True, True)
    Path("pairs.meta.json").write_text(json.dumps({"pairs": "weighted", "thinned": False}), "utf-8")
    assert trained(cli, base, *BY_REWARD, "--epochs", 1)["pairs"] == 8


def test_a_pair_that_was_never_played_is_refused(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", [rewarded(0, True), {**rewarded(1, False), "replicates": 0}])
    ran = cli("train", "--data", "pairs.jsonl", "--model", base, "--loss", "reward")
    assert (ran.code, ran.err.strip()) == (2, "proact: pairs.jsonl:2: field replicates: expected int >= 1")


def test_rewards_are_of_actions_not_of_texts(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(8))
    ran = cli("train", "--data", "pairs.jsonl", "--model", base, "--loss", "reward", "--target", "text")
    assert (ran.code, "--loss reward: compares the words of the actions, not texts" in ran.err) == (2, True)


def chance_of_asking(policy: Trained, row: Row) -> float:
    one = msgspec.convert(row, PreferencePair)
    who = Persona(name="pat", patience="low", profile=one.profile)
    seen = Decision(state=State(**one.state), persona=who, messages=one.prompt)
    return asyncio.run(policy.p_clarify(seen))[0]


def prompt_of(row: Row) -> str:
    one = msgspec.convert(row, PreferencePair)
    return action_prompt(State(**one.state), one.profile, one.prompt)
