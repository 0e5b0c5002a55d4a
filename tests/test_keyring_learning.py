"""What the pairs train: the right policy with default pairs, a policy that ignores the price with best-worst ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from keyring_play import (
    METHOD,
    STATES,
    Key,
    Outcome,
    Pair,
    ask_rate,
    learned,
    outcomes,
    pairs,
    regret,
    thinned,
    value,
)
from support import Cli, read_lines, succeeded

from proact import plots
from proact.worlds import exact

SEEDS = range(500)
PRICES = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8)


@pytest.fixture(scope="module")
def executed() -> list[Outcome]:
    """500 seeds in which a question is followed by an answer at once."""
    return list(outcomes(SEEDS, lambda key: False))


def unweighted(found: list[Pair]) -> list[Pair]:
    return [pair._replace(weight=1.0) for pair in found]


def rounds(first: list[Outcome], alpha: float, count: int, *, best_worst: bool = False) -> list[float]:
    """Normalised regret after each round; from the second on, lines go on by the policy learned before."""
    found, regrets = first, []
    for _ in range(count):
        every = pairs(found, alpha)
        table = learned(unweighted(every) if best_worst else thinned(every))
        regrets.append(regret(value(table, alpha), alpha))
        if len(regrets) < count:
            found = list(outcomes(SEEDS, lambda key, table=table: table.get(key, False)))  # type: ignore[misc]
    return regrets


@pytest.mark.parametrize(("alpha", "first", "third"), [(0.3, 0.30, 0.10), (0.6, 0.20, 0.10)])
def test_default_pairs_train_the_right_policy(
    executed: list[Outcome], alpha: float, first: float, third: float
) -> None:
    regrets = rounds(executed, alpha, 3)
    assert regrets[0] <= first
    assert regrets[2] <= third


@pytest.mark.parametrize(("alpha", "floor"), [(0.3, 0.5), (0.6, 0.2)])
def test_best_worst_pairs_do_not(executed: list[Outcome], alpha: float, floor: float) -> None:
    assert min(rounds(executed, alpha, 3, best_worst=True)) > floor


def test_all_pairs_with_their_weights_train_what_thinned_ones_do(executed: list[Outcome]) -> None:
    assert regret(value(learned(pairs(executed, 0.3)), 0.3), 0.3) <= 0.30


def test_the_price_moves_the_ask_rate_with_default_pairs_and_hardly_with_best_worst(
    executed: list[Outcome], tmp_path: Path
) -> None:
    every = [pairs(executed, alpha) for alpha in PRICES]
    default = [ask_rate(learned(thinned(found))) for found in every]
    best_worst = [ask_rate(learned(unweighted(found))) for found in every]
    optimal = [exact.table(alpha)["ask_rate"] for alpha in PRICES]
    assert all(cheap >= dear for cheap, dear in zip(default, default[1:], strict=False))
    assert default[0] - default[-1] > 0.5
    assert max(best_worst) - min(best_worst) < 0.05
    out = tmp_path / "sweep.png"
    curves = {"optimal": optimal, "default pairs": default, "best-worst": best_worst}
    plots.save(plots.alpha_sweep(PRICES, curves), out)
    assert out.stat().st_size > 10_000


def generated(cli: Cli, seed: int, *more: str) -> None:
    world = ("--mode", "synthetic", "--world", "keyring", "--out", "t.jsonl", "--seed", seed)
    branching = ("--multi-turn", "--branch-turns", "--branches", 1, "--policy", "always-clarify")
    succeeded(cli("generate", *world, *branching, *more))


def rewarded(cli: Cli, *more: str) -> list[dict[str, Any]]:
    succeeded(cli("reward", "--trajectories", "t.jsonl", "--rewards", "r.jsonl", "--out", "p.jsonl", *more))
    return read_lines("p.jsonl")


def as_pairs(rows: list[dict[str, Any]]) -> list[Pair]:
    return [
        Pair(
            row["seed"],
            row["state_id"],
            (row["family"], row["turn"]),
            row["chosen_action"] == "Clarify",
            row["weight"],
        )
        for row in rows
    ]


def test_the_first_round_is_what_the_commands_write(cli: Cli) -> None:
    generated(cli, 7, "--method", METHOD)
    expected = pairs(outcomes([7], lambda key: False), 0.3)
    assert sorted(as_pairs(rewarded(cli, "--alpha", "0.3", "--no-thin"))) == sorted(expected)
    assert sorted(as_pairs(rewarded(cli, "--alpha", "0.3"))) == sorted(thinned(expected))
    assert sorted(as_pairs(rewarded(cli, "--alpha", "0.3", "--pairs", "best-worst"))) == sorted(expected)


def test_what_a_world_computes_for_nothing_is_not_kept_in_the_log_of_calls(cli: Cli) -> None:
    generated(cli, 7)
    first = sorted(Path("t.jsonl").read_bytes().splitlines())
    kept = {path.name for path in Path(os.environ["PROACT_CACHE_DIR"]).iterdir()}
    assert "sandbox.db" in kept
    assert "calls.db" not in kept
    generated(cli, 7, "--overwrite")
    assert sorted(Path("t.jsonl").read_bytes().splitlines()) == first


LEARNER = """
from proact.policies import register

ASKS = {asks!r}


@register("learner")
def learner(state, persona, messages):
    return (state.id, state.dialogue_turn) in ASKS
"""


def test_a_later_round_is_what_the_commands_write(cli: Cli, executed: list[Outcome]) -> None:
    table = learned(thinned(pairs(executed, 0.3)))
    asks: set[Key] = {key for key, wanted in table.items() if wanted}
    assert any(turn > 0 for _, turn in asks)
    ids = {state.family: state.id for state in STATES}
    known = {(ids[family], turn) for family, turn in asks}
    Path("learner.py").write_text(LEARNER.format(asks=known), "utf-8")
    policy: tuple[str, ...] = (
        "--continue-by",
        "learner",
        "--continuation",
        "policy",
        "--plugin",
        "learner.py",
        "--split",
        "test",
    )
    policy += ("--method", METHOD)
    generated(cli, 3, *policy)
    written = as_pairs(rewarded(cli, "--alpha", "0.3", "--no-thin"))
    states = {pair.state_id for pair in written}
    expected = pairs(outcomes([3], asks.__contains__), 0.3)
    assert sorted(written) == sorted(pair for pair in expected if pair.state_id in states)
    assert len(states) == 36
