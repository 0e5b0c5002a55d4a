"""The command line as a whole: how fast it starts, what it prints where, and how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support import Cli, Server, state, succeeded, write_lines

from proact import __version__

SYNTHETIC = ("generate", "--mode", "synthetic", "--n-states", 2)


LOADED = """
import runpy, sys
sys.argv = ["proact", "--help"]
before = {*sys.modules}
try:
    runpy.run_module("proact", run_name="__main__")
except SystemExit:
    print(*{name.partition(".")[0] for name in {*sys.modules} - before} - sys.stdlib_module_names, file=sys.stderr)
"""


def test_help_loads_the_command_line_alone() -> None:
    """It is there at once because nothing that works is loaded for it (bench/start.py has the seconds)."""
    ran = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert set(ran.stderr.split()) <= {"proact", "typer", "orjson", "shellingham", "annotated_doc"}


def test_version(fresh_cli: Cli) -> None:
    assert succeeded(fresh_cli("--version")).out == f"proact {__version__}\n"


def test_every_command_has_help(cli: Cli) -> None:
    listed = re.findall(r"^  (\w+) {2,}\S", succeeded(cli("--help")).out.partition("Commands:")[2], re.MULTILINE)
    assert {"generate", "reward", "convert", "validate", "doctor", "models"} <= set(listed)
    for name in ("generate", "reward"):
        assert "Usage: " in succeeded(cli(name, "--help")).out


@pytest.mark.parametrize("command", [SYNTHETIC, ("validate", "s.jsonl"), ("doctor",)])
def test_json_is_all_that_stands_on_stdout(cli: Cli, command: tuple[object, ...]) -> None:
    write_lines("s.jsonl", [state()])
    ran = succeeded(cli(*command, "--json"))
    assert json.loads(ran.out)["exit_code"] == 0
    assert ran.out.startswith("{\n")


@pytest.mark.parametrize("command", [SYNTHETIC, ("judge", "--list")])
def test_what_a_plugin_prints_goes_beside_the_result(cli: Cli, command: tuple[object, ...]) -> None:
    Path("mine.py").write_text("print('a plugin greets you')\n", "utf-8")
    ran = succeeded(cli(*command, "--plugin", "mine.py", "--json"))
    assert json.loads(ran.out)["exit_code"] == 0
    assert "a plugin greets you" in ran.err


def test_the_summary_of_a_run_counts_what_it_did(cli: Cli) -> None:
    report = json.loads(succeeded(cli(*SYNTHETIC, "--json")).out)
    assert (report["states"], report["planned"], report["done"], report["skipped"], report["missing"]) == (
        2, 6, 6, 0, 0
    )  # fmt: skip
    assert report["calls"] > 0
    assert report["cost"] is None
    again = json.loads(succeeded(cli(*SYNTHETIC, "--json")).out)
    assert (again["done"], again["skipped"], again["calls"], again["cached"]) == (0, 6, 0, 0)


def test_rewards_as_json(fresh_cli: Cli) -> None:
    succeeded(fresh_cli(*SYNTHETIC))
    report = json.loads(succeeded(fresh_cli("reward", "--json")).out)
    assert (report["trajectories"], report["rewards"], report["missing"]) == (6, 6, 0)
    assert {row["action"] for row in report["means"]} == {"Clarify", "Execute"}
    assert sum(row["n"] for row in report["means"]) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--void",), "No such option: --void"),
        (("sing",), "No such command 'sing'"),
        (("generate", "--n-states", "many"), "--n-states"),
        (("generate", "--n-states", 0), "--n-states"),
        (("generate", "--mode", "song"), "'song' is not one of"),
        (("reward",), "data/logs/trajectories.jsonl: no such file"),
        ((*SYNTHETIC, "--budget", 1), "--budget needs --price"),
        ((*SYNTHETIC, "--price", "cheap"), "--price cheap: expected two numbers as PROMPT/COMPLETION"),
        ((*SYNTHETIC, "--price", "1"), "--price 1: expected two numbers"),
        ((*SYNTHETIC, "--price", "-1/2"), "expected two numbers"),
        ((*SYNTHETIC, "--price", "nan/2"), "expected two numbers"),
        ((*SYNTHETIC, "--temperature", "nan"), "--temperature"),
        ((*SYNTHETIC, "--temperature", "inf"), "a number on the command line is not finite"),
        (("reward", "--alpha", "nan"), "--alpha"),
        (("reward", "--alpha", "-1"), "--alpha"),
        (("world", "keyring", "--alpha", "-1"), "--alpha"),
        (("world", "keyring", "--alpha", "inf"), "--alpha inf: expected a finite number"),
        (("diagnose", "t.jsonl", "--alpha", "-1"), "--alpha"),
        (("diagnose", "t.jsonl", "--w-questions", "-1"), "--w-questions"),
        (("judge", "--budget", "-1"), "--budget"),
        ((*SYNTHETIC, "--no-rollout", "--continuation", "policy"), "--continuation does not go with --no-rollout"),
        ((*SYNTHETIC, "--no-rollout", "--continue-by", "optimal:1"), "--continue-by does not go with --no-rollout"),
        (("judge", "effort", "--rubric", "r.txt"), "--rubric does not go with judges without ruler"),
        (("judge", "ruler", "--tokenizer", "t.json"), "--tokenizer does not go with judges without effort"),
        (("doctor", "--model", "local:x"), "--model does not go with a doctor that makes no --call"),
        (("doctor", "--base-url", "http://x"), "--base-url does not go with a doctor that makes no --call"),
        (("export", "p", "--gguf", "p.gguf", "--out", "x"), "--out does not go with POLICY --gguf FILE"),
        (("iterate", "--rounds", 1, "--later-split", "test"), "--later-split does not go with --rounds 1"),
        (("iterate", "--rounds", 1, "--later-states", 5), "--later-states does not go with --rounds 1"),
        ((*SYNTHETIC, "--seed", 2**63), "--seed 9223372036854775808: expected a whole number of 64 bits"),
    ],
)
def test_a_wrong_command_line_ends_with_two(cli: Cli, arguments: tuple[object, ...], message: str) -> None:
    ran = cli(*arguments)
    assert (ran.code, message in ran.err, ran.out) == (2, True, ""), ran.err
    assert "Traceback" not in ran.err
    assert not Path("data").exists()


def test_a_budget_ends_the_run_with_four_and_more_money_finishes_it(cli: Cli, server: Server) -> None:
    write_lines("s.jsonl", [state(f"s{index}", query=f"Task {index}") for index in range(4)])
    command = ("generate", "--dataset", "s.jsonl", "--model", "any", "--base-url", server.url, "--branches", 0)
    # A reply costs 7 * 1 + 3 * 1 millionths of a dollar.
    ran = cli(*command, "--price", "1/1", "--budget", 0.000015, "--concurrency", 1, "--policy", "always-execute")
    assert ran.code == 4
    assert "the budget of $1.5e-05 is spent" in ran.err
    assert len(server.bodies) == 2
    succeeded(cli(*command, "--price", "1/1", "--budget", 1, "--policy", "always-execute"))
    assert len(server.bodies) == 4


def test_an_argument_that_is_no_text_and_a_file_that_is_a_pipe_are_named(fresh_cli: Cli) -> None:
    ran = fresh_cli("eval", "a\udcff.jsonl")
    assert (ran.code, ran.err) == (2, "proact: a\ufffd.jsonl: is not UTF-8\n")
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_text("{}\n"), daemon=True)
    writer.start()
    ran = fresh_cli("validate", "pipe")
    writer.join(10)
    assert (ran.code, ran.err) == (
        2,
        "proact: pipe: is a pipe, and files are read more than once; write it to a file first\n",
    )


def test_a_reader_that_stops_reading_is_no_traceback(cli: Cli) -> None:
    succeeded(cli(*SYNTHETIC))
    command = [sys.executable, "-m", "proact", "reward", "--json"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert Path("data/logs/rewards.jsonl").exists()


def test_tables_are_plain_text_when_nobody_watches(cli: Cli) -> None:
    ran = succeeded(cli(*SYNTHETIC))
    assert "\x1b" not in ran.out
    assert "planned" in ran.out
