"""What `generate` reads: states, personas, names of things, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Cli, Row, persona, read_lines, state, succeeded, write_lines

DATASET = ("generate", "--dataset", "states.jsonl", "--model", "synthetic:", "--branches", 0)


def test_a_data_set_needs_a_model_and_the_error_names_the_choices(cli: Cli) -> None:
    ran = cli("generate", "--mode", "dataset")
    assert ran.code == 2
    assert all(name in ran.err for name in ("openai:NAME", "local:smollm2", "local:FILE.gguf", "synthetic:"))
    assert not list(Path().iterdir())


def test_more_states_than_there_are_are_refused_unless_repeated(cli: Cli) -> None:
    write_lines("states.jsonl", [state("a"), state("b")])
    ran = cli(*DATASET, "--n-states", 5)
    assert ran.code == 2
    assert "--n-states 5 is more than the 2 states" in ran.err
    succeeded(cli(*DATASET, "--n-states", 5, "--repeat"))
    lines = read_lines()
    assert sorted((row["state"]["id"], row["replicate"]) for row in lines) == [
        ("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1)
    ]  # fmt: skip
    assert len({row["id"] for row in lines}) == 5
    assert {row["id"].rpartition("/")[2] for row in lines} == {"mainline", "mainline~1", "mainline~2"}


def test_states_can_be_passed_over(cli: Cli) -> None:
    def played(*more: object) -> set[str]:
        Path("played.jsonl").unlink(missing_ok=True)
        succeeded(cli(*more, "--branches", 0, "--out", "played.jsonl"))
        return {row["state"]["id"] for row in read_lines("played.jsonl")}

    write_lines("states.jsonl", [state(name) for name in "abcd"])
    assert played(*DATASET, "--skip", 1, "--n-states", 2) == {"b", "c"}
    ran = cli(*DATASET, "--skip", 4)
    assert (ran.code, "--skip 4 leaves none of the 4 states there are" in ran.err) == (2, True)
    for made in (("--domain", "coding"), ("--world", "keyring", "--split", "test")):
        world = ("generate", "--mode", "synthetic", *made)
        first, all_five = played(*world, "--n-states", 3), played(*world, "--n-states", 5)
        assert played(*world, "--n-states", 2, "--skip", 3) == all_five - first
        assert (len(first), len(all_five)) == (3, 5)
    # The last world's one round has 36 states.
    assert played(*world) - played(*world, "--n-states", 34) == played(*world, "--skip", 34)


def test_fields_that_no_one_knows_survive(cli: Cli) -> None:
    write_lines("states.jsonl", [state("a", source="forum", weight=[1, {"x": None}], metadata={"kept": True})])
    succeeded(cli(*DATASET))
    assert read_lines()[0]["state"]["metadata"] == {"source": "forum", "weight": [1, {"x": None}], "kept": True}


def test_the_documents_name_for_tests_is_understood(cli: Cli) -> None:
    old = state("a", mbpp_tests=["assert twice(2) == 4"])
    del old["tests"]
    write_lines("states.jsonl", [old])
    succeeded(cli(*DATASET))
    assert read_lines()[0]["state"]["tests"] == ["assert twice(2) == 4"]


def test_a_state_without_an_id_is_named_by_its_content(cli: Cli) -> None:
    first, second = state("a"), state("b", query="Another request.")
    del first["id"], second["id"], second["domain"]
    write_lines("states.jsonl", [first, second])
    succeeded(cli(*DATASET, "--domain", "coding"))
    names = {row["state"]["query"]: row["state"]["id"] for row in read_lines()}
    write_lines("states.jsonl", [second])
    succeeded(cli(*DATASET, "--domain", "coding", "--persona", "curious-student", "--out", "again.jsonl"))
    assert len(set(names.values())) == 2
    assert read_lines("again.jsonl")[0]["state"]["id"] == names["Another request."]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([state("a"), state("b"), state("a")], "states.jsonl:3: field id: 'a' is already on line 1"),
        ([state("a", query="  ")], "states.jsonl:1: field query: is empty"),
        ([state("a", domain="")], "states.jsonl:1: field domain: is missing"),
        ([state("a", task_uncertainty=1.5)], "states.jsonl:1: field task_uncertainty: expected float <= 1.0"),
        ([state("a", facts=[{"id": "x"}])], "states.jsonl:1: field facts[0].text: is required and missing"),
        ([{"id": "a"}], "states.jsonl:1: field query: is required and missing"),
        (
            [state("a"), state("b", domain="cooking")],
            "states.jsonl:2: field domain: unknown domain 'cooking'; there is: coding, planning",
        ),
    ],
)
def test_a_state_that_is_none_is_named(cli: Cli, rows: list[Row], message: str) -> None:
    write_lines("states.jsonl", rows)
    ran = cli(*DATASET)
    assert (ran.code, ran.err) == (2, f"proact: {message}" + ran.err.partition(message)[2])
    assert ran.err.count("\n") == 1
    assert not Path("data").exists()


def test_a_split_that_there_is_not_is_answered_with_those_that_there_are(cli: Cli) -> None:
    write_lines("states.jsonl", [state("a", split="train"), state("b", split="test"), state("c", split="train")])
    ran = cli(*DATASET, "--split", "all")
    assert (ran.code, "no state of split all; it has domain 'coding' and split 'train', 'test'\n" in ran.err) == (
        2,
        True,
    )
    write_lines("states.jsonl", [state(str(n), split=f"{n}\n\x1b[31m") for n in range(10)])
    ran = cli(*DATASET, "--split", "all")
    assert (ran.code, ran.err.count("\n"), "\x1b" in ran.err, "and 2 more" in ran.err) == (2, 1, False, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--persona", "nobody"], "unknown persona 'nobody'; there is: balanced, all, hurried-founder"),
        (["--policy", "sometimes"], "unknown policy 'sometimes'; there is: documented, calibrated"),
        (["--model", "magic:x"], "unknown model 'magic'; there is: hf, keyring, local, openai, scripted, synthetic"),
        (["--split", "void"], "no state of split void; it has domain 'coding' and no split\n"),
        (["--domain", "planning"], "no state of domain planning; it has domain 'coding' and no split\n"),
        (["--dataset", "void.jsonl"], "void.jsonl: no such file"),
        (["--personas", "void.jsonl"], "void.jsonl: no such file"),
        (["--plugin", "void.py"], "void.py: no such plugin file"),
        (
            ["--multi-turn", "--max-turns", "1", "--mainline-action", "Clarify"],
            "--max-turns 1 is the answer, before which nothing is asked; give 2 or more",
        ),
        (["--branch-turns"], "--branch-turns does not go with a single decision"),
        (["--multi-turn", "--no-rollout"], "--no-rollout does not go with --multi-turn"),
        (["--mode", "synthetic"], "--dataset does not go with --mode synthetic"),
        (["--out", "data/external/x.jsonl"], "data/external holds raw data sets and is never written"),
        (["--out", "data/logs/../external/x.jsonl"], "data/external holds raw data sets and is never written"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_writes_nothing(cli: Cli, arguments: list[str], message: str) -> None:
    write_lines("states.jsonl", [state("a")])
    ran = cli(*DATASET, *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["states.jsonl"]


def test_a_file_that_no_stage_wrote_is_never_cut(cli: Cli) -> None:
    path = write_lines("states.jsonl", [state("a"), state("b")])
    before = path.read_bytes()
    ran = cli(*DATASET, "--out", "states.jsonl")
    assert ran.code == 2
    assert "states.jsonl:1: is no line of a" in ran.err
    assert path.read_bytes() == before
    notes = Path("notes.txt")
    notes.write_text("no newline")
    assert cli(*DATASET, "--out", "notes.txt").code == 2
    assert notes.read_text() == "no newline"


def test_a_torn_line_is_cut_and_done_again(cli: Cli) -> None:
    write_lines("states.jsonl", [state("a"), state("b")])
    succeeded(cli(*DATASET))
    path = Path("data/logs/trajectories.jsonl")
    whole = path.read_bytes()
    for torn in (whole[:-1], whole[:-40]):
        path.write_bytes(torn)
        succeeded(cli(*DATASET))
        assert path.read_bytes() == whole


def test_balanced_plays_each_state_once_and_spreads_patience(cli: Cli) -> None:
    succeeded(cli("generate", "--mode", "synthetic", "--n-states", 12, "--branches", 0))
    levels = [row["persona"]["patience"] for row in read_lines()]
    assert sorted(levels) == sorted(["low", "mid", "high"] * 4)


def test_personas_are_chosen_by_name_or_all(cli: Cli) -> None:
    write_lines("states.jsonl", [state("a")])
    write_lines("mine.jsonl", [persona("ann"), persona("bob"), persona("eve", domain="planning")])
    succeeded(cli(*DATASET, "--personas", "mine.jsonl", "--persona", "all", "--out", "all.jsonl"))
    assert {row["persona"]["name"] for row in read_lines("all.jsonl")} == {"ann", "bob"}
    succeeded(cli(*DATASET, "--personas", "mine.jsonl", "--persona", "bob, bob", "--out", "bob.jsonl"))
    assert [row["persona"]["name"] for row in read_lines("bob.jsonl")] == ["bob"]
