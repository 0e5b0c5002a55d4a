"""Training on a tiny model: what it writes, that it repeats and resumes to the byte, and what it refuses."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import Cli, Zygote, read_lines, succeeded, write_lines
from tiny import pair, pairs, tiny_model, trained

from proact.llm import causal
from proact.records import PreferencePair, State
from proact.render import action_prompt
from proact.training import batches, examples, laid, manifest, shared

torch = pytest.importorskip("torch")


@pytest.fixture
def cli(learner: Zygote) -> Cli:
    return learner


FACTS = "About the user: Works in a hurry.\ncoding, turn 0, uncertainty 0.50\nAction:"
EASY = ("--lr", 0.01, "--epochs", 2)


def weights_of(folder: str) -> bytes:
    (file,) = Path(folder).glob("*.safetensors")
    return file.read_bytes()


def test_a_training_leaves_a_policy_its_course_and_a_picture(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs())
    report = trained(cli, base, *EASY)
    found = manifest.read(Path("policy"))
    assert found.base == str(base)
    assert found.adapter
    assert not set(found.families["train"]) & set(found.families["eval"])
    assert report["train"] + report["eval"] == 40
    assert report["eval"] == 2 * len(found.families["eval"]) > 0
    course = read_lines("policy/train.jsonl")
    assert [row["step"] for row in course] == sorted(row["step"] for row in course)
    assert {"loss", "margin", "accuracy", "lr"} < course[0].keys()
    assert course[0]["loss"] == pytest.approx(0.693147, abs=1e-4)
    assert course[-1]["eval_loss"] == found.metrics["eval_loss"]
    assert Path("policy/curves.png").read_bytes().startswith(b"\x89PNG")
    assert not Path("policy/checkpoints").exists()


def test_the_defaults_and_the_first_example_are_printed(cli: Cli, base: Path) -> None:
    rows = pairs(8)
    write_lines("pairs.jsonl", rows)
    ran = succeeded(cli("train", "--data", "pairs.jsonl", "--model", base, "--output", "p", "--epochs", 1))
    assert "on cpu" in ran.err
    assert "LoRA of rank 8 of the upper 1 of 2 layers, learning rate 0.001, batch 8, 1 epochs, beta 0.1" in ran.err
    assert "loss sigmoid, target action" in ran.err
    shown = [row for row in rows if f"{row['state']['query']}\n</user>\n{FACTS}| {row['chosen_action']}" in ran.err]
    assert len(shown) == 1


@pytest.mark.parametrize("loss", ["sigmoid", "reward"])
def test_what_is_read_before_the_first_step_is_counted(cli: Cli, base: Path, loss: str) -> None:
    write_lines("pairs.jsonl", pairs(12))
    whole = ("train", "--data", "pairs.jsonl", "--model", base, "--output", "p", "--epochs", 1, "--eval-fraction", 0)
    ran = succeeded(cli(*whole, "--loss", loss))
    assert re.search(r"read: 100%\|.*?\| 12/12 .*train: 100%\|", ran.err, re.DOTALL)


def test_what_is_measured_between_steps_and_after_them_is_counted(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs())
    whole = ("train", "--data", "pairs.jsonl", "--model", base, "--output", "p", *EASY, "--eval-fraction", 0.3)
    ran = succeeded(cli(*whole))
    shown = re.findall(r"(\w+): +\d+%\|[^|]*\| (\d+/\d+)", ran.err)
    ended = [(what, count) for (what, count), (then, _) in pairwise([*shown, ("", "")]) if what != then]
    assert ended == [("read", "40/40"), ("train", "5/8"), ("measure", "2/2"), ("train", "8/8"), ("measure", "2/2")]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs())
    first = trained(cli, base, *EASY, output="one")
    again = trained(cli, base, *EASY, output="two")
    other = trained(cli, base, *EASY, "--seed", 1, output="three")
    assert first["metrics"] == again["metrics"] != other["metrics"]
    assert weights_of("one") == weights_of("two") != weights_of("three")


def test_a_finished_training_is_not_repeated_and_another_does_not_take_its_place(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs())
    first = trained(cli, base, *EASY)
    before = Path("policy/policy.json").stat().st_mtime_ns
    assert trained(cli, base, *EASY)["metrics"] == first["metrics"]
    assert Path("policy/policy.json").stat().st_mtime_ns == before
    ran = cli("train", "--data", "pairs.jsonl", "--model", base, "--output", "policy", "--beta", 0.2)
    assert (ran.code, "holds a training with other pairs or settings" in ran.err) == (2, True)
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work", "utf-8")
    ran = cli("train", "--data", "pairs.jsonl", "--model", base, "--output", "mine")
    assert (ran.code, "holds other files" in ran.err) == (2, True)


@pytest.mark.parametrize(("kilobytes", "why"), [(64, "File too large"), (160, "torch was stopped")])
def test_a_disk_that_takes_no_checkpoint_ends_a_training_in_one_line(base: Path, kilobytes: int, why: str) -> None:
    write_lines("pairs.jsonl", pairs())
    little = ["bash", "-c", 'ulimit -f "$0" && exec "$@"', str(kilobytes)]
    command = [sys.executable, "-m", "proact", "train", "--data", "pairs.jsonl", "--model", str(base), "--full"]
    ran = subprocess.run([*little, *command, "--output", "policy"], capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith(f"proact: policy: cannot write: {why}")
    assert "Traceback" not in ran.stderr
    assert not Path("policy/policy.json").exists()


UPPER = ("--full", "--depth", 2, "--layers", 1)


@pytest.mark.parametrize("how", [(), (*UPPER, "--loss", "reward", "--start", "first")], ids=["adapter", "start"])
def test_a_killed_training_goes_on_to_the_same_weights(cli: Cli, base: Path, how: tuple[object, ...]) -> None:
    write_lines("pairs.jsonl", pairs(80))
    if how:
        trained(cli, base, *UPPER, "--epochs", 1, output="first")
    slow = ("--lr", 0.01, "--epochs", 12, *how)
    whole = trained(cli, base, *slow, output="whole")
    command = [sys.executable, "-m", "proact", "train", "--data", "pairs.jsonl", "--model", str(base)]
    running = subprocess.Popen([*command, "--output", "killed", *map(str, slow)], stderr=subprocess.DEVNULL)
    while not list(Path("killed/checkpoints").glob("checkpoint-*/trainer_state.json")):
        assert running.poll() is None
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not Path("killed/policy.json").exists()
    torn = max(Path("killed/checkpoints").iterdir()).with_name("checkpoint-9999")
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_st', "utf-8")
    resumed = trained(cli, base, *slow, output="killed")
    assert resumed["metrics"] == whole["metrics"]
    assert weights_of("killed") == weights_of("whole")
    assert read_lines("killed/train.jsonl") == read_lines("whole/train.jsonl")


def test_a_policy_of_one_action_is_not_trained_unless_asked_for(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(8))
    Path("pairs.meta.json").write_text(json.dumps({"constant_policy": "Execute"}), "utf-8")
    ran = cli("train", "--data", "pairs.jsonl", "--model", base)
    assert ran.code == 2
    assert "the best policy is constant, always Execute; there is nothing to learn (--even-if-constant" in ran.err
    trained(cli, base, "--epochs", 1, "--even-if-constant")


def test_pairs_with_weights_are_thinned(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", [pair(n, n % 2 == 0, margin=1 + n % 2, weight=1 + n % 2) for n in range(80)])
    report = trained(cli, base, "--epochs", 1)
    assert 40 + 10 < report["pairs"] < 40 + 30
    Path("pairs.meta.json").write_text(json.dumps({"pairs": "best-worst"}), "utf-8")
    assert trained(cli, base, "--epochs", 1, output="unthinned")["pairs"] == 80


def test_pairs_that_do_not_fit_are_left_out_and_counted(cli: Cli, base: Path) -> None:
    rows = pairs(16)
    rows[3]["prompt"][0]["content"] *= 30
    write_lines("pairs.jsonl", rows)
    assert trained(cli, base, "--epochs", 1, "--eval-fraction", 0)["left_out"] == 1
    ran = cli("train", "--data", "pairs.jsonl", "--model", base, "--output", "none", "--max-length", 16)
    assert (ran.code, "no pair fits into --max-length 16 tokens" in ran.err) == (2, True)


def test_text_is_trained_as_it_stands_in_the_file(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(8))
    trained(cli, base, "--epochs", 1, "--target", "text")
    ran = cli("generate", "--mode", "synthetic", "--world", "keyring", "--policy", "trained:policy")
    assert (ran.code, "as a chat model it is hf:policy" in ran.err) == (2, True)
    world = ("--mode", "synthetic", "--domain", "coding", "--n-states", 1, "--branches", 0)
    succeeded(cli("generate", *world, "--model", "hf:policy", "--max-completion-tokens", 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lr", "0"), "--lr"),
        (("--seed", "-1"), "--seed"),
        (("--seed", "4294967296"), "--seed"),
        (("--loss", "reward,sigmoid"), "--loss reward,sigmoid: reward stands alone"),
        (("--full", "--lora-r=4"), "--lora-r 4 is of an adapter, and --full trains none"),
        (("--full", "--qlora"), "--qlora is of an adapter, and --full trains none"),
        (("--report-to", "carrier-pigeon"), "--report-to carrier-pigeon: expected none, wandb, mlflow, trackio"),
        (("--report-to", "wandb"), "--report-to wandb needs the package: pip install wandb"),
        (("--model", "no/such/folder"), "no/such/folder: cannot be loaded"),
        (("--data", "empty.jsonl"), "empty.jsonl: holds no preference pair, so there is nothing to learn"),
        (("--data", "bad.jsonl"), "bad.jsonl:1: field chosen_action"),
        (("--loss", "tea-leaves"), "--loss tea-leaves"),
        (("--held-out", "pairs.jsonl"), "pairs.jsonl:1: is also in the training pairs (same "),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(cli: Cli, base: Path, options: tuple[str, ...], message: str) -> None:
    write_lines("pairs.jsonl", pairs(8))
    write_lines("empty.jsonl", [])
    write_lines("bad.jsonl", [pair(0, True, chosen_action="Wait")])
    given = {"--model": str(base), "--data": "pairs.jsonl", options[0]: options[1]}
    ran = cli("train", *(part for item in given.items() for part in item), HF_HUB_OFFLINE="1")
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert not Path("outputs/policy/policy.json").exists()


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="hardware: shows what is said without GPUs")
@pytest.mark.parametrize(
    ("options", "message"),
    [(("--qlora",), "--qlora needs an NVIDIA GPU"), (("--gpus", "2"), "--gpus 2: this machine has")],
)
def test_hardware_that_was_asked_for_and_is_absent_is_an_error(
    cli: Cli, base: Path, options: tuple[str, ...], message: str
) -> None:
    write_lines("pairs.jsonl", pairs(8))
    ran = cli("train", "--data", "pairs.jsonl", "--model", base, *options)
    assert (ran.code, message in ran.err) == (2, True)


def test_a_family_is_on_one_side_and_stays_there_when_data_is_added() -> None:
    few = [PreferencePair(**row) for row in pairs(20)]
    many = [PreferencePair(**row) for row in pairs(200)]
    small, large = examples.split(few, 0.3, 0), examples.split(many, 0.3, 0)
    assert {examples.family(one) for one in small.held_out} <= {examples.family(one) for one in large.held_out}
    assert 0.15 < len(large.held_out) / 200 < 0.45
    assert examples.split(few, 0.3, 1).held_out != small.held_out
    assert not examples.split(few, 0, 0).held_out


def test_training_reads_the_bytes_that_the_policy_is_asked_with() -> None:
    one = PreferencePair(**pair(3, True))
    state = State(id="s3", domain="coding", query=one.state["query"], task_uncertainty=0.5, tests=["assert hidden"])
    row = examples.row(one, "action")
    assert row["prompt"] == action_prompt(state, "Works in a hurry.", one.prompt)
    assert row["prompt"] == f"<user>\nWrite function number 3; you must ask me what it does.\n</user>\n{FACTS}"
    assert (row["chosen"], row["rejected"]) == (" Clarify", " Execute")


@pytest.mark.parametrize(("family", "fixed"), [("Llama", 0), ("Llama", 1), ("Qwen3", 1)])
def test_reading_a_prompt_once_gives_the_same_hidden_states_and_gradients(
    family: str, fixed: int, tmp_path: Path
) -> None:
    model, tokenizer, _ = causal.load(str(tiny_model(tmp_path, family=family)))
    assert shared.applies(model, "cpu")
    prompts = ["word " * 3, "word " * 9, "word " * 9 + "and what? ", "word " * 9 + "and what? No. ", "word " * 9, ""]
    texts = [f"{prompt}Action:{end}" for end in (" Clarify", " Execute now") for prompt in prompts]
    ids = [tokenizer(text)["input_ids"] for text in texts]
    longest = max(map(len, ids))
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])

    def run() -> tuple[Any, Any]:
        model.zero_grad()
        hidden = model.base_model(input_ids=tokens, attention_mask=mask, use_cache=False).last_hidden_state
        hidden = hidden * mask[..., None]
        (hidden**3).sum().backward()
        return hidden.detach(), model.base_model.layers[-1].self_attn.q_proj.weight.grad.clone()

    apart = run()
    with shared.prompts(model.base_model, fixed, torch.float32):
        runs = [run(), run()]
    for together in runs:
        assert torch.allclose(apart[0], together[0], atol=1e-5)
        assert torch.allclose(apart[1], together[1], atol=1e-3, rtol=1e-4)
    assert torch.equal(runs[0][0], runs[1][0])
    assert torch.equal(run()[0], apart[0])


def test_what_many_rows_have_in_common_has_the_same_gradient_each_time(base: Path) -> None:
    model = causal.load(str(base)).model
    ids = torch.arange(4, 68).repeat(64, 1)
    ids[:, -1] = torch.arange(100, 164)
    weights = torch.randn((*ids.shape, model.config.hidden_size), generator=torch.Generator().manual_seed(0))
    found = set()
    with shared.prompts(model.base_model, 1, torch.float32):
        for _ in range(20):
            model.zero_grad()
            hidden = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
            (hidden.last_hidden_state * weights).sum().backward()
            found.add(model.base_model.norm.weight.grad.numpy().tobytes())
    assert len(found) == 1


def test_prompts_are_not_read_once_where_a_layer_looks_back_only_so_far(tmp_path: Path) -> None:
    assert not shared.applies(causal.load(str(tiny_model(tmp_path / "window", family="Mistral"))).model, "cpu")
    model = causal.load(str(tiny_model(tmp_path / "whole", family="Qwen3"))).model
    assert shared.applies(model, "cpu")
    model.config.layer_types = ["full_attention", "chunked_attention"]
    assert not shared.applies(model, "cpu")


def test_the_top_layer_feeds_forward_only_what_predicts_a_completion(base: Path) -> None:
    model = causal.load(str(base)).model
    ids = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 4, 3]])
    mask = torch.ones_like(ids)
    read: list[int] = []
    up = model.base_model.layers[-1].mlp.up_proj
    up.register_forward_hook(lambda _, given, __: read.append(given[0].numel() // model.config.hidden_size))
    plain = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    with shared.prompts(model.base_model, 0, torch.float32, room=2):
        spared = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    assert torch.allclose(plain[:, 2:], spared[:, 2:], atol=1e-5)
    # The last token of the prompt and both completions, of two rows with five tokens each.
    assert read == [10, 5]


def test_turns_of_a_dialogue_are_laid_into_one_row_and_others_beside_them(base: Path) -> None:
    """10 tokens that all four share, 4 that two share and 4 endings are 18; a text of 12 fits beside them into 32."""
    model = causal.load(str(base)).model
    said, more = list(range(10, 20)), list(range(20, 24))
    turns = [said + [5], said + more + [5], said + [6], said + more + [6]]
    texts = [*turns, list(range(30, 42)), list(range(30, 60))]
    ids = torch.nn.utils.rnn.pad_sequence(list(map(torch.tensor, texts)), batch_first=True)
    shapes: list[tuple[int, ...]] = []
    model.base_model.layers[0].register_forward_hook(lambda _, given, __: shapes.append(tuple(given[0].shape)))
    with torch.no_grad(), shared.prompts(model.base_model, 0, torch.float32):
        model.base_model(input_ids=ids, attention_mask=(ids > 0).long(), use_cache=False)
    assert shapes == [(2, laid.STRIDE, model.config.hidden_size)]


def test_layers_below_the_adapter_read_each_row_once(base: Path) -> None:
    model = causal.load(str(base)).model
    ids = torch.tensor([[5, 6, 7], [5, 6, 8]])
    read: list[int] = []
    model.base_model.layers[0].register_forward_hook(lambda *_: read.append(1))
    with torch.no_grad(), shared.prompts(model.base_model, 1, torch.float32):
        for _ in range(3):
            model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    assert len(read) == 1


def test_rows_are_read_ahead_by_the_layers_that_do_not_learn_alone(base: Path) -> None:
    model = causal.load(str(base)).model
    ids = torch.tensor([[5, 6, 7], [5, 6, 8], [9, 9, 9]])
    read: list[int] = []
    for place, layer in enumerate(model.base_model.layers):
        layer.register_forward_hook(lambda *_, place=place: read.append(place))
    with torch.no_grad(), shared.prompts(model.base_model, 1, torch.float32) as ahead:
        ahead(ids, torch.ones_like(ids))
        assert read == [0]
        for _ in range(2):
            model.base_model(input_ids=ids[1:], attention_mask=torch.ones_like(ids[1:]), use_cache=False)
    assert read == [0, 1, 1]


def test_a_batch_holds_both_actions_in_proportion_and_prompts_of_like_length() -> None:
    kinds = ["Clarify"] * 50 + ["Execute"] * 151
    lengths = [row * 7 % 100 for row in range(201)]

    def epoch(number: int) -> list[int]:
        return batches.ordered(kinds, lengths, list(map(str, range(201))), 8, seed=0, epoch=number)

    first, second = epoch(0), epoch(1)
    assert sorted(first) == sorted(second) == list(range(201))
    assert first != second
    assert first == epoch(0)
    cut = [first[start : start + 8] for start in range(0, 201, 8)]
    assert all(abs([kinds[row] for row in batch].count("Clarify") - len(batch) / 4) <= 1 for batch in cut)
    spans = [max(lengths[row] for row in batch) - min(lengths[row] for row in batch) for batch in cut[:-1]]
    assert sum(spans) / len(spans) < 40


def test_a_batch_holds_whole_dialogues() -> None:
    dialogues = [str(row // 4) for row in range(80)]
    order = batches.ordered(["Clarify", "Execute"] * 40, [1] * 80, dialogues, 8, seed=0, epoch=0)
    assert sorted(order) == list(range(80))
    assert order != list(range(80))
    assert all(len({dialogues[row] for row in order[start : start + 8]}) == 2 for start in range(0, 80, 8))


def test_a_word_is_trained_without_what_ends_a_text() -> None:
    one = {"prompt_ids": [5, 6], "chosen_ids": [7, 8, 2], "rejected_ids": [9, 2]}
    words, texts = (batches.collator(0, end)([one])["completion_mask"].sum(-1).tolist() for end in (2, None))
    assert (words, texts) == ([2, 1], [3, 2])


def test_a_pair_comes_as_often_as_it_weighs() -> None:
    weighed = [
        PreferencePair(**pair(number, True, weight=weight)) for number, weight in enumerate([0.1, 0.2, 0.3, 0.4])
    ]
    counts: Counter[str] = Counter()
    for seed in range(2000):
        found = examples.drawn(weighed, seed)
        assert {one.weight for one in found} <= {1.0}
        counts.update(one.id for one in found)
    assert [counts[one.id] / 2000 for one in weighed] == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.04)


def test_pairs_that_weigh_nothing_are_not_drawn(cli: Cli, base: Path) -> None:
    light = [PreferencePair(**pair(number, True, weight=float(number == 3))) for number in range(20)]
    assert [one.id for one in examples.drawn(light, 0)] == ["g3/pair"]
    write_lines("pairs.jsonl", [pair(number, True, weight=0.0) for number in range(8)])
    ran = cli("train", "--data", "pairs.jsonl", "--model", base)
    assert (ran.code, "every pair has the weight 0" in ran.err) == (2, True)


def test_weighted_pairs_are_drawn_before_they_are_learned_from(cli: Cli, base: Path) -> None:
    write_lines(
        "pairs.jsonl", [pair(number, number % 2 == 0, weight=1.0 if number < 8 else 0.1) for number in range(80)]
    )
    told = trained(cli, base, "--epochs", 1)
    assert 8 <= told["pairs"] < 80


def test_a_training_that_has_lost_its_way_leaves_no_policy(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(16))
    ran = cli("train", "--data", "pairs.jsonl", "--model", base, "--output", "p", "--lr", 1e30, "--full")
    assert (ran.code, "the loss is no number any more: train with a smaller --lr" in ran.err) == (1, True)
    assert not Path("p/policy.json").exists()


def test_all_weights_can_be_trained(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(16))
    trained(cli, base, "--full", "--epochs", 1, "--lr", 0.01)
    found = manifest.read(Path("policy"))
    assert not found.adapter
    assert not Path("policy/adapter_config.json").exists()
    world = ("--mode", "synthetic", "--world", "keyring", "--n-states", 2, "--branches", 0)
    succeeded(cli("generate", *world, "--policy", "trained:policy"))


def test_the_flag_of_a_constant_policy_is_the_one_that_reward_writes(cli: Cli, base: Path) -> None:
    succeeded(cli("generate", "--mode", "synthetic", "--world", "keyring", "--replicates", 2))
    succeeded(cli("reward", "--alpha", 5))
    ran = cli("train", "--model", base)
    assert (ran.code, "the best policy is constant, always Execute" in ran.err) == (2, True)


def test_a_failed_start_does_not_block_the_folder(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(8))
    assert cli("train", "--data", "pairs.jsonl", "--model", base, "--output", "policy", "--max-length", 16).code == 2
    trained(cli, base, "--epochs", 1)
