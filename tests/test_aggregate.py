"""`iterate --aggregate`: a round learns from the pairs of those before it too, and takes no longer for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import Cli, Row, Zygote, read_lines, state, succeeded, write_lines

from proact.training import manifest

pytest.importorskip("torch")

LEARN = ("--rounds", 3, "--epochs", 2, "--full", "--loss", "reward", "--even-if-constant", "--out", "rounds", "--json")
SIZE = ("--replicates", 2, "--test-replicates", 1)


@pytest.fixture
def cli(learner: Zygote) -> Cli:
    return learner


def pairs_of(number: int) -> dict[str, Row]:
    return {row["id"]: row for row in read_lines(f"rounds/round-{number}/pairs.jsonl")}


def learned_from(number: int) -> Row:
    found = manifest.read(Path(f"rounds/round-{number}/policy"))
    return {**found.data, "epochs": found.settings["epochs"]}


def test_the_third_round_learns_from_the_pairs_of_two_in_as_many_steps(cli: Cli, base: Path) -> None:
    world = ("--world", "keyring", "--alpha", 0.3, "--n-states", 12, "--n-test", 3, *SIZE)
    command = ("iterate", *world, "--model", base, *LEARN, "--aggregate")
    ran = succeeded(cli(*command))
    second, third = pairs_of(2), pairs_of(3)
    assert not second.keys() & third.keys()
    both = read_lines("rounds/round-3/pairs-of-rounds.jsonl")
    assert [row["id"] for row in both] == [*second, *third]
    assert learned_from(2) == {**learned_from(2), "pairs": len(second), "epochs": 2}
    assert not Path("rounds/round-2/pairs-of-rounds.jsonl").exists()
    assert learned_from(3)["pairs"] == len(second) + len(third)
    assert learned_from(3)["epochs"] == pytest.approx(2 * len(third) / len(both))
    # Killed after the training, the last round is known by what it was trained on.
    Path("rounds/round-3/finished.meta.json").unlink()
    again = succeeded(cli(*command))
    assert json.loads(again.out) == json.loads(ran.out)
    ran = cli(*command[:-1])
    assert (ran.code, "holds a training with other pairs or settings" in ran.err) == (2, True)


def test_of_a_decision_that_was_played_in_several_rounds_the_newest_pair_counts(cli: Cli, base: Path) -> None:
    split = {**dict.fromkeys(range(6), "train"), 6: "test", 7: "test"}
    write_lines("states.jsonl", [state(f"s{n}", query=f"Add {n}.", split=part) for n, part in split.items()])
    data = ("--dataset", "states.jsonl", "--assistant", "synthetic:", "--model", base, *SIZE)
    succeeded(cli("iterate", *data, *LEARN, "--aggregate"))
    second, third = pairs_of(2), pairs_of(3)
    assert second.keys() & third.keys()
    both = {row["id"]: row for row in read_lines("rounds/round-3/pairs-of-rounds.jsonl")}
    assert both == {**second, **third}
