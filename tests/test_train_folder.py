"""The folder of a training: what may stand there, what goes, and what is taken for finished."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import Cli, Zygote, succeeded, write_lines
from tiny import pairs, tiny_model, trained

from proact.training import manifest
from proact.training.begun import Begun, begin

torch = pytest.importorskip("torch")
WORLD = ("--mode", "synthetic", "--world", "keyring", "--n-states", 2, "--branches", 0)


@pytest.fixture
def cli(learner: Zygote) -> Cli:
    return learner


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of one's own, which a test may change."""
    return tiny_model(tmp_path / "model")


def contents(folder: Path | str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


def command(model: Path, *more: object) -> tuple[object, ...]:
    return ("train", "--data", "pairs.jsonl", "--model", model, "--epochs", 1, *more)


def begun(model: Path, *more: object) -> subprocess.Popen[bytes]:
    """A training that runs and has written a checkpoint."""
    words = [sys.executable, "-m", "proact", *map(str, command(model, "--output", "policy", *more))]
    running = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list(Path("policy/checkpoints").glob("checkpoint-*/trainer_state.json")):
        assert running.poll() is None
        time.sleep(0.005)
    return running


@pytest.mark.parametrize("how", [(), ("--overwrite",)], ids=["", "overwrite"])
@pytest.mark.parametrize("option", ["model", "start"])
def test_what_a_training_reads_is_not_its_output(cli: Cli, model: Path, option: str, how: tuple[str, ...]) -> None:
    write_lines("pairs.jsonl", pairs(12))
    trained(cli, model, "--epochs", 1)
    read = {"model": str(model), "start": "policy"}
    before = contents(read[option])
    start = ("--start", "policy") if option == "start" else ()
    ran = cli(*command(model, "--output", f"{read[option]}/.", *start, *how))
    assert (ran.code, f"is what --{option} reads; choose another one" in ran.err) == (2, True)
    assert contents(read[option]) == before


def test_a_folder_that_no_training_has_made_is_not_overwritten(cli: Cli, base: Path, model: Path) -> None:
    write_lines("pairs.jsonl", pairs(12))
    before = contents(model)
    ran = cli(*command(base, "--output", model, "--overwrite"))
    assert (ran.code, "holds other files; choose another --output" in ran.err) == (2, True)
    assert contents(model) == before
    Path("file").write_text("mine", "utf-8")
    ran = cli(*command(base, "--output", "file", "--overwrite"))
    assert (ran.code, "Traceback" in ran.err, Path("file").read_text("utf-8")) == (1, False, "mine")


@pytest.mark.parametrize(
    "wrong", [("--model", "no/such/folder"), ("--depth", 5), ("--max-length", 16), ("--start", "other")]
)
def test_what_cannot_begin_overwrites_nothing(cli: Cli, base: Path, wrong: tuple[object, ...]) -> None:
    write_lines("pairs.jsonl", pairs(12))
    trained(cli, base, "--epochs", 1)
    trained(cli, base, "--epochs", 1, "--full", output="other")
    before = contents("policy")
    ran = cli(*command(base, "--output", "policy", "--overwrite", *wrong))
    assert (ran.code, "Traceback" in ran.err) == (2, False)
    assert contents("policy") == before
    ran = cli(*command(base, "--output", "new", *wrong))
    assert (ran.code, [*Path().glob("new/*")]) == (2, [])


def test_an_adapter_makes_way_for_all_weights(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(12))
    trained(cli, base, "--epochs", 1)
    Path("policy/notes.txt").write_text("what I think of it", "utf-8")
    trained(cli, base, "--epochs", 1, "--full", "--overwrite")
    assert Path("policy/notes.txt").exists()
    succeeded(cli("generate", *WORLD, "--policy", "trained:policy"))


@pytest.mark.parametrize("damage", ["lost", "torn"])
def test_a_policy_whose_weights_are_gone_is_not_finished(cli: Cli, base: Path, damage: str) -> None:
    write_lines("pairs.jsonl", pairs(12))
    trained(cli, base, "--epochs", 1)
    weights = Path("policy/adapter_model.safetensors")
    weights.unlink() if damage == "lost" else weights.write_bytes(weights.read_bytes()[:100])
    ran = cli(*command(base, "--output", "policy"))
    assert (ran.code, "other weights than its policy.json describes; train again, with --overwrite" in ran.err) == (
        2,
        True,
    )
    succeeded(cli(*command(base, "--output", "policy", "--overwrite")))
    succeeded(cli("generate", *WORLD, "--policy", "trained:policy"))


def test_a_folder_that_was_cleared_and_not_begun_is_still_known(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(12))
    trained(cli, base, "--epochs", 1)
    with pytest.raises(TypeError):
        begin(Path("policy"), Begun(key="breaks off here", plan={"seed": object()}), overwrite=True)
    assert not Path("policy/policy.json").exists()
    succeeded(cli(*command(base, "--output", "policy", "--epochs", 2)))


def test_a_training_is_its_folders_only_one_and_of_the_weights_that_it_began_with(
    cli: Cli, model: Path, tmp_path: Path
) -> None:
    write_lines("pairs.jsonl", pairs(80))
    trained(cli, model, "--epochs", 1, output="whole")
    running = begun(model, "--epochs", 40)
    ran = cli(*command(model, "--output", "policy", "--overwrite"))
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert (ran.code, "another proact command is writing" in ran.err) == (1, True)
    assert list(Path("policy/checkpoints").glob("checkpoint-*/trainer_state.json"))
    shutil.copy(tiny_model(tmp_path / "other", seed=1) / "model.safetensors", model)
    ran = cli(*command(model, "--output", "policy", "--epochs", 40))
    assert (ran.code, "policy: was begun with other weights of the model than it has now" in ran.err) == (2, True)
    ran = cli(*command(model, "--output", "whole"))
    assert (ran.code, f"whole: was trained on other weights than {model} has now" in ran.err) == (2, True)


@pytest.mark.parametrize("body", ["{}", "", '{"key": 3}'])
def test_a_damaged_record_of_a_training_is_named(cli: Cli, base: Path, body: str) -> None:
    write_lines("pairs.jsonl", pairs(12))
    trained(cli, base, "--epochs", 1)
    Path("policy/run.json").write_text(body, "utf-8")
    ran = cli(*command(base, "--output", "policy"))
    assert (ran.code, "policy/run.json: is not what a training was begun with" in ran.err) == (2, True)
    succeeded(cli(*command(base, "--output", "policy", "--overwrite")))


def test_a_training_of_one_step_learns(cli: Cli, base: Path) -> None:
    write_lines("pairs.jsonl", pairs(12))
    trained(cli, base, "--epochs", 1, "--batch-size", 100, "--lr", 0.01)
    from safetensors.torch import load_file

    adapter = load_file("policy/adapter_model.safetensors")
    assert any(bool(weight.any()) for name, weight in adapter.items() if "lora_B" in name)


def test_several_processes_train_one_policy(cli: Cli, base: Path) -> None:
    """As `--gpus 2` starts them, but without GPUs."""
    write_lines("pairs.jsonl", pairs())
    launch = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--no-python", sys.executable, "-m", "proact")
    words = command(base, "--output", "policy", "--lr", 0.01)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([sys.executable, *launch, *map(str, words)], capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("pairs to learn from") == 1
    assert manifest.read(Path("policy")).metrics["eval_loss"] is not None
    assert not Path("policy/checkpoints").exists()
    succeeded(cli("generate", *WORLD, "--policy", "trained:policy"))
