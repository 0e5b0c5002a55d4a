"""How close trained policies come to the optimum of Keyring, on starts and wordings that were held out.

Every number is exact: a policy is asked at each decision that a start can lead to, and its value follows from the
chances of the world. Normalised regret is 0 for the optimum and 1 for the best constant policy.

    python bench/learning.py --alpha 0.3 0.6 --seed 0 1 2 --rounds 3 --control --out outputs/learning
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from statistics import correlation, fmean
from typing import NamedTuple

import msgspec

from proact.keys import digest64
from proact.llm import causal, likelihood
from proact.policies import Decision, Policy, Trained
from proact.records import Message, State, Usage
from proact.render import action_prompt
from proact.training.manifest import WORDS
from proact.worlds import WORLDS, exact, keyring

CLEAR = 0.03
"""Advantage below which it hardly matters what is done, so that accuracy does not count it."""
WORDINGS = 8
UPPER_LAYERS = ("--depth", 17, "--layers", 5)


class Found(NamedTuple):
    """Of one policy at one price, over the starts held out."""

    regret: float
    ask_rate: float
    accuracy: float
    correlation: float


def decisions(state: State, seed: int) -> list[Decision]:
    """What a policy is asked along the dialogue in which every question is answered."""
    guesses, told = state.metadata["guesses"], {fact.id: fact.text for fact in state.facts}
    ring = keyring.read(state.query).ring
    question = keyring.QUESTIONS[digest64(f"{seed} {ring}") % len(keyring.QUESTIONS)]
    said: list[Message] = [{"role": "user", "content": state.query}]
    found = []
    for turn, name in enumerate(sorted(guesses, key=guesses.__getitem__)):
        uncertainty = round(keyring.UNCERTAINTY * 0.5**turn, 6)
        seen = msgspec.structs.replace(state, dialogue_turn=turn, task_uncertainty=uncertainty)
        found.append(Decision(state=seen, persona=WORLDS["keyring"].persona, messages=list(said)))
        asked = {"role": "assistant", "content": question.format(name)}
        said += [asked, {"role": "user", "content": told[name]}]
    return found


async def chances(policy: Policy, trees: Sequence[Sequence[Decision]]) -> list[list[float]]:
    flat = await asyncio.gather(*(policy.p_clarify(one) for tree in trees for one in tree))
    values = iter(p for p, _ in flat)
    return [[next(values) for _ in tree] for tree in trees]


class Untrained:
    """The base model, asked as a trained policy is."""

    name = "untrained"

    def __init__(self, base: str) -> None:
        self._chances = likelihood.Chances(causal.reader(base), (WORDS["Clarify"], WORDS["Execute"]))

    async def p_clarify(self, decision: Decision) -> tuple[float, Usage]:
        text = action_prompt(State(**decision.state.visible()), decision.persona.profile, decision.messages)
        ((clarify, execute),) = self._chances([text])
        return 1 / (1 + math.exp(execute - clarify)), Usage()


def measured(policy: Policy, alpha: float, seed: int) -> Found:
    """A policy on every start held out, each in several wordings."""
    states = [one for one in keyring.states(WORDINGS * len(exact.STARTS)) if one.split == "test"]
    known = asyncio.run(chances(policy, [decisions(state, seed) for state in states]))
    optimum = exact.best(alpha)
    best = exact.value(optimum, alpha)
    earned, ideal, never, always, right, advantages = [], [], [], [], [], []
    for state, p in zip(states, known, strict=True):
        hidden = state.metadata
        start = exact.Node(tuple(sorted(hidden["guesses"].values())), 0, hidden["patience"], hidden["skill"])
        earned.append(exact.value(lambda node, p=p: p[node.asked] >= 0.5, alpha)(start))  # type: ignore[misc]
        ideal.append(best(start))
        never.append(exact.execute(start))
        always.append(exact.value(lambda node: True, alpha)(start))
        advantages.append(exact.clarify(start, alpha, best) - exact.execute(start))
        if abs(advantages[-1]) > CLEAR:
            right.append((advantages[-1] > 0) == (p[0] >= 0.5))
    constant = max(fmean(never), fmean(always))
    first = [p[0] for p in known]
    return Found(
        (fmean(ideal) - fmean(earned)) / (fmean(ideal) - constant),
        fmean(p >= 0.5 for p in first),
        fmean(right),
        correlation(advantages, first) if len(set(first)) > 1 else 0.0,
    )


def shuffled(pairs: Path, seed: int) -> Path:
    """The same pairs with a coin deciding what was chosen: nothing can be learned from them."""
    out = pairs.with_name("shuffled.jsonl")
    chance = random.Random(seed)
    with out.open("w", encoding="utf-8") as file:
        for line in pairs.read_text("utf-8").splitlines():
            row = json.loads(line)
            if chance.random() < 0.5:
                row["chosen_action"], row["rejected_action"] = row["rejected_action"], row["chosen_action"]
            file.write(json.dumps(row) + "\n")
    return out


def proact(*command: object) -> float:
    """Seconds that a command takes. Raises CalledProcessError when it fails."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "proact", *map(str, command)], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def learned(told: argparse.Namespace, alpha: float, seed: int) -> Iterator[tuple[str, Policy, float]]:
    """Each policy learned at a price under a seed, with its name and the seconds until it was there."""
    out = told.out / f"alpha-{alpha:g}-seed-{seed}"
    sizes = ("--epochs", told.epochs, "--batch-size", told.batch_size, "--lr", told.lr)
    weights = ("--lora", "--lora-r", told.lora_r) if told.lora_r else ("--full",)
    how = (*sizes, "--loss", told.loss, "--seed", seed, *UPPER_LAYERS, *weights)
    play = ("--n-states", told.n_states, "--replicates", told.replicates)
    later = ("--later-states", told.later_states or told.n_states)
    for number in range(1, told.rounds + 1):
        world = ("--world", "keyring", "--alpha", alpha, "--rounds", number, "--out", out)
        states = play if number == 1 else (*play, *later)
        seconds = proact("iterate", *world, *states, *how, "--soup", told.soup, "--json")
        yield f"round {number}", Trained(str(out / f"round-{number}" / "policy")), seconds
    if told.control:
        pairs, policy = shuffled(out / "round-1" / "pairs.jsonl", seed), out / "shuffled"
        seconds = proact("train", "--data", pairs, "--output", policy, *how, "--json")
        yield "shuffled", Trained(str(policy)), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alpha", type=float, nargs="+", default=[0.3, 0.6])
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--n-states", type=int, default=3120)
    parser.add_argument("--later-states", type=int, help="of rounds after the first, when not as many")
    parser.add_argument("--replicates", type=int, default=64)
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.0005)
    parser.add_argument("--loss", default="reward")
    parser.add_argument("--soup", type=int, default=1, help="trainings of a round, the mean of which goes on")
    parser.add_argument("--lora-r", type=int, help="rank of adapters, which learn in place of all weights")
    parser.add_argument("--control", action="store_true", help="train on shuffled pairs too")
    parser.add_argument("--out", type=Path, default=Path("outputs/learning"))
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    untrained: Policy = Untrained("local:smollm2")
    sys.stdout.write("alpha seed policy      regret     asks accuracy correlat.  seconds\n")
    for alpha in told.alpha:
        for seed in told.seed:
            for name, policy, seconds in chain([("untrained", untrained, 0.0)], learned(told, alpha, seed)):
                found = measured(policy, alpha, seed)
                figures = " ".join(f"{value:8.3f}" for value in found)
                sys.stdout.write(f"{alpha:5g} {seed:4d} {name:9s} {figures} {seconds:8.0f}\n")
                sys.stdout.flush()
                row = {"alpha": alpha, "seed": seed, "policy": name, "seconds": round(seconds), **found._asdict()}
                with (told.out / "regret.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
