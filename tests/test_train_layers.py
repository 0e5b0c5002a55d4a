"""Which layers a policy keeps, which of them learn, and from which weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import Cli, Zygote, succeeded, write_lines
from tiny import pairs, tiny_model, trained

from proact.llm import causal
from proact.training import manifest

torch = pytest.importorskip("torch")
load_file = pytest.importorskip("safetensors.torch").load_file


@pytest.fixture
def cli(learner: Zygote) -> Cli:
    return learner


def test_the_adapter_is_in_as_many_layers_as_asked_for(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(16))
    trained(cli, base, "--epochs", 1, "--depth", 2, "--layers", 1)
    adapter = json.loads(Path("policy/adapter_config.json").read_bytes())
    assert adapter["layers_to_transform"] == [1]
    ran = cli("train", "--data", "pairs.jsonl", "--model", base, "--output", "p", "--depth", 2, "--layers", 3)
    assert (ran.code, "--layers 3: the policy has 2" in ran.err) == (2, True)


def test_a_policy_keeps_as_many_layers_as_asked_for(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(16))
    trained(cli, base, "--epochs", 1, "--depth", 1)
    assert manifest.read(Path("policy")).depth == 1
    world = ("--mode", "synthetic", "--world", "keyring", "--n-states", 2, "--branches", 0)
    succeeded(cli("generate", *world, "--policy", "trained:policy"))
    ran = cli("train", "--data", "pairs.jsonl", "--model", base, "--output", "p", "--depth", 3)
    assert (ran.code, f"--depth 3: {base} has 2 layers" in ran.err) == (2, True)
    ran = cli("train", "--data", "pairs.jsonl", "--model", base, "--output", "p", "--depth", 1, "--target", "text")
    assert (ran.code, "--depth 1: writing takes all layers" in ran.err) == (2, True)


@pytest.mark.parametrize("method", ["--lora", "--full"])
def test_what_is_kept_below_does_not_learn(cli: Cli, base: Path, method: str) -> None:
    write_lines("pairs.jsonl", pairs(16))
    trained(cli, base, "--epochs", 1, "--lr", 0.01, "--depth", 2, "--layers", 1, method)
    found = manifest.read(Path("policy"))
    before = causal.load(str(base)).model.state_dict()
    learned = causal.load(str(base), Path("policy"), 2) if found.adapter else causal.load("policy")
    moved = {name for name, weight in learned.model.state_dict().items() if not torch.equal(weight, before[name])}
    assert moved
    assert {name for name in moved if not name.startswith("model.layers.1.")} <= {"model.norm.weight"}


@pytest.mark.parametrize("method", ["--lora", "--full"])
def test_a_training_begins_with_the_weights_of_another_policy(cli: Cli, base: Path, method: str) -> None:
    write_lines("pairs.jsonl", pairs(40))
    once = ("--epochs", 2, "--lr", 0.01, method)
    first = trained(cli, base, *once)
    again = trained(cli, base, *once, "--start", "policy", output="again")
    assert again["metrics"]["loss"] < first["metrics"]["loss"]
    still = trained(cli, base, "--epochs", 1, "--lr", 1e-12, method, "--start", "policy", output="still")
    for file in Path("policy").glob("*.safetensors"):
        before, after = load_file(file), load_file(Path("still", file.name))
        assert before.keys() == after.keys()
        assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    assert still["settings"]["start"] == "policy"


def test_a_start_that_does_not_fit_is_refused(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(16))
    trained(cli, base, "--epochs", 1)
    told = ("train", "--data", "pairs.jsonl", "--model", base, "--output", "p", "--start")
    ran = cli(*told, "policy", "--lora-r", 4)
    assert (ran.code, "--start policy: was trained with another lora_r than this training: 8, not 4" in ran.err) == (
        2,
        True,
    )
    ran = cli(*told, "nothing")
    assert (ran.code, "nothing: holds no trained policy" in ran.err) == (2, True)
    file = Path("policy/adapter_model.safetensors")
    weights = bytearray(file.read_bytes())
    weights[-1] ^= 1
    file.write_bytes(weights)
    ran = cli(*told, "policy")
    assert (ran.code, "policy: holds other weights than its policy.json describes" in ran.err) == (2, True)


def test_layers_of_a_model_that_is_no_plain_stack_are_refused(cli: Cli) -> None:
    tiny_model(Path("other"), family="GPT2")
    write_lines("pairs.jsonl", pairs(8))
    ran = cli("train", "--data", "pairs.jsonl", "--model", "other", "--output", "p", "--full", "--layers", 1)
    assert (ran.code, "--layers with --full: this model is no plain stack of layers" in ran.err) == (2, True)


def test_an_adapter_is_no_model_to_begin_with(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(8))
    trained(cli, base, "--epochs", 1)
    for method in ("--lora", "--full"):
        ran = cli("train", "--data", "pairs.jsonl", "--model", "policy", "--output", "p", method)
        told = "proact: policy: is an adapter, no model; go on from it with --model BASE --start policy"
        assert (ran.code, ran.err.strip()) == (2, told)


def test_an_architecture_that_takes_no_adapter_is_refused_and_takes_no_place(cli: Cli, base: Path) -> None:
    tiny_model(Path("other"), family="Mamba")
    write_lines("pairs.jsonl", pairs(8))
    trained(cli, base, "--epochs", 1)
    ran = cli("train", "--data", "pairs.jsonl", "--model", "other", "--output", "policy", "--overwrite")
    assert Path("policy/policy.json").exists()
    assert (ran.code, "proact: other: models of the architecture mamba take no LoRA adapter" in ran.err) == (2, True)
    assert not list(Path("p").glob("*.safetensors"))
