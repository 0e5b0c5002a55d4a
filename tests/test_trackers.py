"""Trackers: what a training tells them, and that nothing they print stands in the way of a result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Command, ended
from support import write_lines
from tiny import pairs

TRACKER = """
import json
from contextvars import ContextVar
from types import SimpleNamespace

context_vars = SimpleNamespace(
    current_space_id=ContextVar("space", default=None), current_run=ContextVar("run", default=None)
)


class Config(dict):
    def update(self, values, allow_val_change):
        super().update(values)


config = Config()


def note(kind, value):
    with open("tracked.jsonl", "a") as file:
        print(json.dumps([kind, value]), file=file)


def init(project, name, **more):
    print("* the tracker greets you")
    note("init", [project, name])


def log(values):
    note("log", values)


def finish():
    note("finish", config["learning_rate"])
"""


LOCKED = """
from wandb.errors import Error

run = None


def init(project, **more):
    raise Error(f"no key of {project}\\nget one")
"""


def test_a_tracker_is_told_of_a_training_and_prints_beside_its_result(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    write_lines(str(tmp_path / "pairs.jsonl"), pairs(16))
    (tmp_path / "trackio.py").write_text(TRACKER, "utf-8")
    command = Command(tmp_path, PYTHONPATH=str(tmp_path))
    training = ("train", "--data", "pairs.jsonl", "--model", base, "--output", "mine", "--epochs", 2, "--lr", 0.01)
    found = ended(command.start(*training, "--report-to", "trackio", "--json"))
    assert found.code == 0, found.stderr
    assert "the tracker greets you" in found.stderr
    told = [json.loads(line) for line in (tmp_path / "tracked.jsonl").read_text("utf-8").splitlines()]
    assert (told[0], told[-1]) == (["init", ["proact", "mine"]], ["finish", 0.01])
    logged = [values for kind, values in told if kind == "log"]
    losses = [values["train/loss"] for values in logged if "train/loss" in values]
    course = [json.loads(line) for line in (tmp_path / "mine/train.jsonl").read_text("utf-8").splitlines()]
    assert losses == pytest.approx([row["loss"] for row in course if "loss" in row])
    assert json.loads(found.stdout)["metrics"]["loss"] == pytest.approx(losses[-1])


def test_a_tracker_that_stops_ends_a_training_in_one_line(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    write_lines(str(tmp_path / "pairs.jsonl"), pairs(16))
    (tmp_path / "wandb" / "sdk" / "lib").mkdir(parents=True)
    (tmp_path / "wandb" / "sdk" / "lib" / "config_util.py").write_text("ConfigError = ValueError\n", "utf-8")
    (tmp_path / "wandb" / "errors.py").write_text("class Error(Exception): pass\n", "utf-8")
    (tmp_path / "wandb" / "__init__.py").write_text(LOCKED, "utf-8")
    (tmp_path / "wandb-1.dist-info").mkdir()
    about = "Metadata-Version: 2.1\nName: wandb\nVersion: 1\n"
    (tmp_path / "wandb-1.dist-info" / "METADATA").write_text(about, "utf-8")
    command = Command(tmp_path, PYTHONPATH=str(tmp_path))
    training = ("train", "--data", "pairs.jsonl", "--model", base, "--output", "mine", "--epochs", 1)
    found = ended(command.start(*training, "--report-to", "wandb"))
    assert (found.code, found.stdout) == (1, "")
    assert found.stderr.splitlines()[-1] == "proact: --report-to wandb: no key of proact"
    assert "Traceback" not in found.stderr
