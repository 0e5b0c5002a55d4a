"""What `iterate` refuses before it plays anything, and how it knows a round that is finished."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import ASKS, EXAMPLES, RIGHT, Cli, Row, Server, Zygote, read_lines, state, succeeded, write_lines

pytest.importorskip("torch")

WORLD = ("--world", "keyring", "--alpha", 0.3)
FILE = ("--dataset", "states.jsonl", "--assistant", "synthetic:")
FEW = ("--n-states", 4, "--n-test", 3, "--replicates", 1, "--test-replicates", 1, "--even-if-constant")

LEAKS = "is not held out from split"


@pytest.fixture
def cli(learner: Zygote) -> Cli:
    return learner


def states() -> list[Row]:
    """Four to learn from, a family that stands in both splits, and three that stand apart."""
    split = {**dict.fromkeys(range(4), "train"), 4: "mixed", **dict.fromkeys(range(5, 8), "test")}
    return [
        state(f"s{n}", query=f"Write a function that adds {n}.", split=part, family=f"f{n % 4 if n < 5 else n}")
        for n, part in split.items()
    ]


def refused(cli: Cli, base: Path, *more: object) -> str:
    """The line with which rounds are refused that have played nothing."""
    write_lines("states.jsonl", states())
    ran = cli(
        "iterate", "--rounds", 2, "--model", base, "--epochs", 1, *FEW, *more, "--out", "rounds", HF_HUB_OFFLINE="1"
    )
    assert ran.code == 2, ran.err
    assert not Path("rounds").exists()
    line: str = ran.err.strip().splitlines()[-1]
    assert line.startswith(("proact: ", "Error: "))
    return line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            (*WORLD, "--split", "test"),
            f"keyring: --test-split test: {LEAKS} test, which is learned from (same family: ",
        ),
        ((*WORLD, "--later-split", "test"), f"keyring: --test-split test: {LEAKS} test, which is learned from"),
        ((*FILE, "--n-test", 1, "--test-split", "mixed"), f"states.jsonl: --test-split mixed: {LEAKS} train, which"),
        ((*WORLD, "--split", "nosuch"), "--split nosuch: keyring has further, test, train"),
        ((*WORLD, "--later-split", "nosuch"), "--split nosuch: keyring has further, test, train"),
        ((*FILE, "--later-split", "nosuch"), "the data set holds no state of split nosuch; it has"),
        ((*FILE, "--n-states", 100), "--n-states 100 is more than the 4 states there are of split train"),
        ((*FILE, "--n-test", 100), "--n-test 100 is more than the 3 states there are of split test"),
        ((*FILE, "--spec", "nosuch"), "unknown reward spec 'nosuch'"),
        (("--world", "keyring", "--spec", "per-turn"), "the best policy of --world keyring is known for linear prices"),
        ((*FILE, "--budget", 1), "--budget needs --price PROMPT/COMPLETION"),
        ((*WORLD, "--loss", "nosuch"), "--loss nosuch: expected reward, or one or several of"),
        ((*WORLD, "--model", "nosuch/model"), "nosuch/model: cannot be loaded: "),
        ((*WORLD, "--depth", 9), "has 2 layers"),
        ((*WORLD, "--depth", 1, "--layers", 2), "--layers 2: the policy has 1"),
        ((*WORLD, "--lr", "inf"), "a number on the command line is not finite"),
        ((*WORLD, "--alpha", "inf"), "a number on the command line is not finite"),
        ((*WORLD, "--epochs", "inf"), "a number on the command line is not finite"),
        ((*WORLD, "--beta", "inf"), "a number on the command line is not finite"),
        ((*WORLD, "--alpha", "-1"), "--alpha"),
        ((*WORLD, "--lr", 0), "--lr"),
        ((*WORLD, "--seed", "-1"), "--seed"),
        ((*WORLD, "--seed", "4294967296"), "--seed"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_played(
    cli: Cli, base: Path, options: tuple[object, ...], message: str
) -> None:
    assert message in refused(cli, base, *options)


def test_a_budget_is_one_for_all_that_is_played(cli: Cli, base: Path, server: Server) -> None:
    write_lines("states.jsonl", states())
    server.answer = lambda body: ASKS if "question" in body["messages"][-1]["content"] else RIGHT
    how = (
        "iterate",
        "--rounds",
        1,
        "--dataset",
        "states.jsonl",
        "--model",
        base,
        "--epochs",
        1,
        *FEW,
        "--out",
        "rounds",
    )
    paid = (*how, "--assistant", "m", "--base-url", server.url, "--price", "1000000/1000000", "--concurrency", 1)
    ran = cli(*paid, "--budget", 0, HF_HUB_OFFLINE="1")
    assert (ran.code, len(server.bodies), "the budget of $0 is spent" in ran.err) == (4, 0, True)
    succeeded(cli(*paid, "--rounds", 1, "--epochs", 1, HF_HUB_OFFLINE="1"))
    # Ten tokens a call. No single play of the four takes half of all calls.
    calls = len(server.bodies)
    ran = cli(*paid, "--rounds", 1, "--seed", 1, "--out", "other", "--budget", 10 * (calls // 2), HF_HUB_OFFLINE="1")
    assert (ran.code, len(server.bodies)) == (4, calls + calls // 2), calls


def test_a_plugin_brings_its_domain(cli: Cli, base: Path) -> None:
    write_lines("states.jsonl", [{**one, "domain": "slogan", "must_mention": ["bread"]} for one in states()])
    how = ("iterate", "--rounds", 1, *FILE, "--model", base, "--epochs", 1, *FEW, "--out", "rounds")
    assert "unknown domain 'slogan'" in cli(*how, HF_HUB_OFFLINE="1").err
    ran = cli(*how, "--plugin", EXAMPLES / "my_domain.py", "--persona", "careful-librarian", HF_HUB_OFFLINE="1")
    succeeded(ran)
    assert {row["persona"]["name"] for row in read_lines("rounds/round-1/trajectories.jsonl")} == {"careful-librarian"}


def test_a_round_is_known_as_finished_beside_an_export_of_its_policy(cli: Cli, base: Path) -> None:
    how = ("iterate", "--rounds", 1, *WORLD, "--model", base, "--epochs", 1, *FEW, "--out", "rounds")
    succeeded(cli(*how))
    beside = Path("rounds/round-1/policy.meta.json")
    beside.write_text('{"version": "of what was exported"}', "utf-8")
    assert "round-1: finished before" in succeeded(cli(*how)).err
    assert beside.read_text("utf-8") == '{"version": "of what was exported"}'


def test_a_finished_round_of_an_older_folder_is_known(cli: Cli, base: Path) -> None:
    how = ("iterate", "--rounds", 1, *WORLD, "--model", base, "--epochs", 1, *FEW, "--out", "rounds")
    succeeded(cli(*how))
    Path("rounds/round-1/finished.meta.json").rename("rounds/round-1/policy.meta.json")
    assert "round-1: finished before" in succeeded(cli(*how)).err
    other = cli(*how, "--alpha", 0.6)
    assert (other.code, "holds rounds of other states or settings" in other.err) == (2, True)
