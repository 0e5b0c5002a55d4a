"""The files of examples/ work as they are, and are as short as the documentation says."""

from __future__ import annotations

import pytest
from support import EXAMPLES, Cli, Row, Server, read_lines, state, succeeded, write_lines


@pytest.mark.parametrize(
    ("name", "limit"), [("my_policy.py", 15), ("my_domain.py", 30), ("my_reward_term.py", 10), ("my_persona.jsonl", 2)]
)
def test_an_example_is_short(name: str, limit: int) -> None:
    assert len((EXAMPLES / name).read_text("utf-8").splitlines()) <= limit


def test_personas_of_your_own(cli: Cli) -> None:
    succeeded(cli("validate", EXAMPLES / "my_persona.jsonl"))
    command = ("generate", "--mode", "synthetic", "--n-states", 4, "--personas", EXAMPLES / "my_persona.jsonl")
    succeeded(cli(*command))
    names = [row["persona"]["name"] for row in read_lines() if row["is_mainline"]]
    assert sorted(names) == ["hobby-gardener"] * 2 + ["night-shift-nurse"] * 2


def test_a_policy_of_your_own(cli: Cli) -> None:
    long = state("long", query="Write a Python function that doubles a number, and explain every line of it to me.")
    write_lines("s.jsonl", [state("short"), long])
    command = ("generate", "--dataset", "s.jsonl", "--model", "synthetic:", "--branches", 0)
    succeeded(cli(*command, "--plugin", EXAMPLES / "my_policy.py", "--policy", "short-request"))
    assert {row["state"]["id"]: (row["action"], row["p_clarify"]) for row in read_lines()} == {
        "short": ("Clarify", 0.9),
        "long": ("Execute", 0.2),
    }


def test_a_reward_term_of_your_own(cli: Cli) -> None:
    succeeded(cli("generate", "--mode", "synthetic", "--n-states", 2))
    plugin = ("--plugin", EXAMPLES / "my_reward_term.py", "--component", "brevity=0.1")
    succeeded(cli("reward", *plugin))
    lengths = {row["id"]: len(row["messages"]) for row in read_lines()}
    for row in read_lines("data/logs/rewards.jsonl"):
        assert row["components"]["brevity"] == pytest.approx(1 / lengths[row["id"]])
        assert row["total"] == pytest.approx(row["task_score"] - row["interrupt_cost"] + 0.1 / lengths[row["id"]])


def test_a_domain_of_your_own(cli: Cli, server: Server) -> None:
    task = {
        "id": "tea",
        "domain": "slogan",
        "query": "A slogan for my tea.",
        "facts": [{"id": "taste", "text": "It is fresh.", "about": "taste"}],
        "must_mention": ["fresh", "leaf"],
    }

    def answer(body: Row) -> str:
        text = str(body["messages"])
        if "question" in text:
            return "How does it taste?"
        return "Fresh from the leaf." if "It is fresh" in text else "The leaf you love."

    server.answer = answer
    write_lines("s.jsonl", [task])
    plugin = ("--plugin", EXAMPLES / "my_domain.py")
    command = ("generate", "--dataset", "s.jsonl", "--model", "any", "--base-url", server.url, "--seed", 3)
    succeeded(cli(*command, *plugin, "--persona", "careful-librarian"))
    assert "You write slogans." in server.bodies[0]["messages"][0]["content"]
    succeeded(cli("reward", "--no-thin", *plugin))
    scores = {row["id"].rpartition("/")[2]: row["task_score"] for row in read_lines("data/logs/rewards.jsonl")}
    assert scores == {"mainline": 0.5, "other": 1.0, "variant": 0.5}
    (pair,) = read_lines("data/dpo/pairs.jsonl")
    assert (pair["chosen_action"], pair["margin"]) == ("Clarify", 0.42)
    for form in ("sft", "kto"):
        succeeded(cli("export", "--format", form, *plugin))
        assert "How does it taste?" in str(read_lines(f"data/dpo/{form}.jsonl"))
    for bare in (("reward",), ("export", "--format", "sft")):
        ran = cli(*bare)
        assert (ran.code, "unknown domain 'slogan'" in ran.err) == (2, True)
