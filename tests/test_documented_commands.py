"""Command lines as the source documents print them, with the new names of the programs, and as README does."""

from __future__ import annotations

import shlex
from collections import Counter

import msgspec
from support import ASKS, REPOSITORY, WRONG, Cli, Row, Server, read_lines, state, succeeded, write_lines

from proact.worlds import puzzles

SINGLE = """
  python scripts/generate_trajectories.py --mode dataset --domain coding \
--dataset_path data/seeds/mbpp_states.jsonl --n_states 100 \
    --out logs/traj_mbpp.jsonl --llm_model gpt-4o-mini
"""
MULTI = """
  python scripts/generate_trajectories.py --mode dataset --domain coding \
    --dataset_path data/seeds/your_dataset.jsonl --n_states 10 \
    --out logs/traj_multiturn.jsonl --llm_model gpt-4o-mini \
    --multi_turn --max_turns 5
"""
CUSTOM = {
    "id": "task-0",
    "domain": "coding",
    "query": "User's task description",
    "dialogue_turn": 0,
    "prev_reject": 0,
    "task_uncertainty": 0.5,
}


def arguments(command: str) -> list[str]:
    words = shlex.split(command.replace("python scripts/generate_trajectories.py", "generate"))
    return [word.replace("reward/compute_rewards.py", "reward") for word in words if word != "python"]


def reply(body: Row) -> str:
    return ASKS if "question" in body["messages"][-1]["content"] else WRONG


def test_synthetic_mode_then_rewards(cli: Cli) -> None:
    line = "python scripts/generate_trajectories.py --mode synthetic --domain coding --n_states 50 "
    succeeded(cli(*arguments(line + "--out logs/traj_synth_coding.jsonl")))
    assert len(read_lines("logs/traj_synth_coding.jsonl")) == 150
    line = "python reward/compute_rewards.py --trajectories logs/traj_synth_coding.jsonl --out dpo/prefs_synth.jsonl"
    succeeded(cli(*arguments(line)))
    fields = {"state", "chosen_action", "rejected_action", "chosen_text", "rejected_text"}
    fields |= {"rewards", "task_scores", "interrupt_costs"}
    assert all(fields <= row.keys() for row in read_lines("dpo/prefs_synth.jsonl"))


def test_dataset_mode_with_a_server(fresh_cli: Cli, server: Server) -> None:
    server.answer = reply
    write_lines("data/seeds/mbpp_states.jsonl", [state(f"mbpp-{index}", query=f"Task {index}") for index in range(100)])
    environment = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test"}
    succeeded(fresh_cli(*arguments(SINGLE), **environment))
    assert Counter(row["branch"] for row in read_lines("logs/traj_mbpp.jsonl")) == {
        "mainline": 100,
        "other": 100,
        "variant": 100,
    }
    assert {body["model"] for body in server.bodies} == {"gpt-4o-mini"}
    assert {body["temperature"] for body in server.bodies} == {0.3}


def test_multi_turn_on_a_file_of_your_own(cli: Cli, server: Server) -> None:
    server.answer = reply
    write_lines("data/seeds/your_dataset.jsonl", [{**CUSTOM, "id": f"task-{index}"} for index in range(10)])
    succeeded(cli(*arguments(MULTI), OPENAI_BASE_URL=server.url))
    lines = read_lines("logs/traj_multiturn.jsonl")
    assert len({row["conversation"] for row in lines}) == 10
    assert max(row["turn"] for row in lines) == 4


def test_the_manual_override(cli: Cli) -> None:
    line = "python scripts/generate_trajectories.py --mode synthetic --n_states 2 --mainline_action Clarify"
    succeeded(cli(*arguments(line)))
    assert {row["mainline_action"] for row in read_lines()} == {"Clarify"}


def test_a_missing_key_is_named_before_the_first_call(cli: Cli) -> None:
    write_lines("data/seeds/your_dataset.jsonl", [{**CUSTOM, "id": f"task-{index}"} for index in range(10)])
    ran = cli(*arguments(MULTI))
    assert ran.code == 2
    assert "openai:gpt-4o-mini needs a key: set OPENAI_API_KEY" in ran.err
    assert ran.err.count("\n") == 1


def test_the_evaluation_of_a_policy_in_the_readme_gives_what_it_promises(cli: Cli) -> None:
    write_lines("held_out.jsonl", [msgspec.to_builtins(one) for one in puzzles.states("coding", 12)])
    section = (REPOSITORY / "README.md").read_text("utf-8").partition("these lines are the evaluation")[2]
    lines = (
        section.split("```")[1].strip().replace("MODEL", "synthetic:").replace("trained:outputs/policy", "calibrated")
    )
    assert len(lines.splitlines()) == 4
    for line in lines.splitlines():
        succeeded(cli(*shlex.split(line)[1:]))
    measured = {(row["method"], row["metric"]): row["mean"] for row in read_lines("data/eval/metrics.jsonl")}
    promised = ("task_success_rate", "avg_reward", "avg_task_score", "action_accuracy")
    assert None not in {measured[method, metric] for method in ("documented", "dpo") for metric in promised}
