"""What `proact train` is given and cannot use is said in one line: pairs, files held out, bases."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support import Cli, Row, Zygote, read_lines, succeeded, write_lines
from tiny import pair, pairs, tiny_model, trained

from proact.records import PreferencePair
from proact.training import examples

pytest.importorskip("torch")
STATE: Row = pair(1, False)["state"]
QUERY: str = STATE["query"]
TEXT = [{"role": "assistant", "content": "Why?"}]


@pytest.fixture
def cli(learner: Zygote) -> Cli:
    return learner


def refused(cli: Cli, *arguments: object) -> str:
    """The one line with which a command ends."""
    ran = cli(*arguments)
    assert ran.code == 2, ran.err
    (said,) = ran.err.splitlines()
    return said.removeprefix("proact: ")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"state": {}}, "field state.id: is required and missing"),
        ({"state": {**STATE, "task_uncertainty": None}}, "field state.task_uncertainty: expected float, got null"),
        ({"state": {**STATE, "task_uncertainty": "much"}}, "field state.task_uncertainty: expected float, got str"),
        ({"state": {**STATE, "task_uncertainty": 2}}, "field state.task_uncertainty: expected float <= 1.0"),
        ({"prompt": []}, "field prompt: expected array of length >= 1"),
        ({"prompt": [{"text": "Hi."}]}, "field prompt[0].role: is required and missing"),
        ({"prompt": [{"role": "narrator"}]}, "field prompt[0].role: Invalid enum value 'narrator'"),
        ({"prompt": [{"role": "user", "content": 3}]}, "field prompt[0].content: expected "),
        ({"chosen": []}, "field chosen: expected array of length >= 1"),
        ({"rejected": [{"role": "assistant"}]}, "field rejected[0].content: is required and missing"),
        ({"rejected_action": "Clarify"}, "field rejected_action: expected another one than chosen_action, Clarify"),
        ({"weight": -1.0}, "field weight: expected float >= 0.0"),
        ({"margin": -1.0}, "field margin: expected float >= 0.0"),
        ({"id": "g0/pair"}, "field id: 'g0/pair' is already on line 1"),
    ],
)
def test_a_bad_pair_is_named_alike_by_all_who_read_pairs(cli: Cli, base: Path, fields: Row, problem: str) -> None:
    write_lines("pairs.jsonl", [pair(0, True), pair(1, True, **fields)])
    expected = f"pairs.jsonl:2: {problem}"
    assert refused(cli, "train", "--data", "pairs.jsonl", "--model", base).startswith(expected)
    export = ("export", "--format", "trl-dpo", "--pairs", "pairs.jsonl", "--target", "action", "--out", "rows.jsonl")
    assert refused(cli, *export).startswith(expected)
    assert not Path("rows.jsonl").exists()
    ran = cli("validate", "pairs.jsonl")
    assert (ran.code, ran.err.startswith(expected)) == (2, True)


def test_what_a_pair_says_beyond_its_fields_is_no_problem(cli: Cli) -> None:
    state = {**STATE, "difficulty": "hard", "prev_reject": True}
    prompt = [{"role": "user", "content": QUERY}, {"role": "assistant", "tool_calls": [{"id": "1"}]}]
    write_lines("pairs.jsonl", [pair(1, False, state=state, prompt=prompt)])
    assert "all fine" in succeeded(cli("validate", "pairs.jsonl")).err
    for target in ("action", "text"):
        succeeded(cli("export", "--format", "trl-dpo", "--pairs", "pairs.jsonl", "--target", target, "--out", target))
    assert "the last question was refused" in read_lines("action")[0]["prompt"]
    assert read_lines("text")[0]["prompt"] == prompt


def test_to_learn_from_rewards_a_pair_must_have_both(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", [pair(0, True, rewards={"chosen": 1.0, "rejected": None})])
    said = refused(cli, "train", "--data", "pairs.jsonl", "--model", base, "--loss", "reward")
    assert said == "pairs.jsonl:1: field rewards: --loss reward needs both numbers"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"id": "log", "messages": [{"role": "system"}, {"role": "user", "content": QUERY}]}, "same request"),
        ({"id": "log", "turns": [{"role": "user", "content": f" {QUERY}\n"}]}, "same request"),
        ({"task_id": 3, "text": QUERY}, "same request"),
        ({"prompt": [{"role": "user", "content": QUERY}], "chosen": TEXT, "rejected": TEXT}, "same request"),
        ({"prompt": f"<user>\n{QUERY}\n</user>\nAction:", "chosen": " Clarify"}, "same request"),
        ({"state_id": "s1"}, "same state"),
        ({"id": "s1", "query": "Other."}, "same state"),
        ({"family": "f0"}, "same family"),
        ({"id": "s1/reward", "group": "s1"}, "has no state_id, request or family"),
        ({"prompt": 3, "messages": []}, "has no state_id, request or family"),
    ],
)
def test_what_is_held_out_is_compared_by_all_that_it_says(cli: Cli, base: Path, row: Row, problem: str) -> None:
    write_lines("pairs.jsonl", pairs(2))
    write_lines("held.jsonl", [{"id": "c", "messages": [{"role": "user", "content": "New."}]}, row])
    train = ("train", "--data", "pairs.jsonl", "--model", base, "--eval-fraction", 0, "--held-out", "held.jsonl")
    said = refused(cli, *train)
    assert said.startswith("held.jsonl:2: ")
    assert problem in said


def test_rows_that_export_writes_are_known_again(cli: Cli, base: Path) -> None:
    query = "Write <b> in bold &lt; here."
    write_lines("pairs.jsonl", [pair(0, True, prompt=[{"role": "user", "content": query}])])
    succeeded(cli("export", "--format", "trl-dpo", "--pairs", "pairs.jsonl", "--target", "action", "--out", "rows"))
    said = refused(cli, "train", "--data", "pairs.jsonl", "--model", base, "--held-out", "rows")
    assert said == "rows:1: is also in the training pairs (same request: Write <b> in bold < here.)"


def test_an_empty_file_holds_nothing_out(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(2))
    write_lines("held.jsonl", [])
    said = refused(cli, "train", "--data", "pairs.jsonl", "--model", base, "--held-out", "held.jsonl")
    assert said == "held.jsonl: is empty, so there is nothing to compare the training pairs with"


@pytest.mark.parametrize("family", ["Llama", "GPT2"])
def test_a_pair_longer_than_the_base_reads_is_left_out(cli: Cli, tmp_path: Path, family: str) -> None:
    rows = pairs(16)
    rows[3]["prompt"][0]["content"] *= 5
    write_lines("pairs.jsonl", rows)
    model = tiny_model(tmp_path / "base", context=256, family=family)
    assert trained(cli, model, "--epochs", 1, "--eval-fraction", 0, "--full")["left_out"] == 1
    model = tiny_model(tmp_path / "short", context=64, family=family)
    said = cli("train", "--data", "pairs.jsonl", "--model", model, "--output", "none").err.splitlines()[-1]
    assert said.endswith(f"no pair fits into the 64 tokens that {model} reads")


def test_what_is_foretold_fits_into_the_base_too(cli: Cli, tmp_path: Path) -> None:
    word = "incomprehensibilities"
    rows = [pair(n, n % 2 == 0, chosen_text=word, rejected_text=word) for n in range(4)]
    for row in rows:
        row["prompt"][0]["content"] += f" {word}"
    write_lines("pairs.jsonl", rows)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "any"))
    read = [examples.row(PreferencePair(**row), "action") for row in rows]
    longest = max(
        len(tokenizer(row["prompt"] + row[side])["input_ids"]) for row in read for side in ("chosen", "rejected")
    )
    model = tiny_model(tmp_path / "base", context=longest + 1, family="GPT2")
    how = ("--epochs", 1, "--eval-fraction", 0, "--full", "--loss", "reward")
    assert trained(cli, model, *how)["left_out"] == 0


def _without(base: Path, folder: Path, **change: Any) -> Path:
    shutil.copytree(base, folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}), "utf-8")
    return folder


def test_a_base_that_cannot_be_trained_is_refused_in_a_line(cli: Cli, base: Path, tmp_path: Path) -> None:
    write_lines("pairs.jsonl", pairs(2))
    endless = _without(base, tmp_path / "endless", eos_token=None, pad_token=None)
    said = refused(cli, "train", "--data", "pairs.jsonl", "--model", endless, "--eval-fraction", 0)
    assert said == f"{endless}: its tokenizer has no end-of-text token (eos_token), which ends what is trained"
    silent = _without(base, tmp_path / "silent")
    template = silent / "chat_template.jinja"
    template.write_text("{{ raise_exception('System role not supported') }}", "utf-8")
    text = ("train", "--data", "pairs.jsonl", "--model", silent, "--eval-fraction", 0, "--target", "text")
    refusal = "the chat template refuses the dialogue of s0 pat 0: System role not supported"
    assert refused(cli, *text) == f"--target text: {refusal}"
    template.unlink()
    assert refused(cli, *text) == "--target text: the base has no chat template, so it cannot hold a conversation"
