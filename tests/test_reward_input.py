"""What `reward` reads beside trajectories, what it refuses, and what it does not do again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rows import line, reward_rows
from support import ASKS, RIGHT, WRONG, Cli, Row, state, succeeded, write_lines

REWARD = ("reward", "--trajectories", "t.jsonl", "--rewards", "rewards.jsonl", "--out", "pairs.jsonl")
ASKED = line("other", [("Clarify", ASKS, {}), ("Execute", RIGHT, {})])
ANSWERED = line("mainline", [("Execute", WRONG, {})])


def verdict(trajectory: str, score: float | None, judge: str = "ruler", **fields: Any) -> Row:
    return {"id": f"{judge}/{trajectory}", "trajectory": trajectory, "judge": judge, "score": score, **fields}


def test_a_judge_can_replace_the_task_score(cli: Cli) -> None:
    write_lines("t.jsonl", [ASKED, ANSWERED])
    write_lines("v.jsonl", [verdict("g/other", 0.25), verdict("g/mainline", None)])
    rewards = reward_rows(cli, "--task-score", "ruler", "--verdicts", "v.jsonl")
    asked, answered = rewards["g/other"], rewards["g/mainline"]
    assert (asked["task_score"], asked["status"]) == (0.25, "judged")
    assert asked["total"] == pytest.approx(0.25 - 0.08)
    assert (answered["task_score"], answered["status"], answered["total"]) == (None, "not_applicable", None)


def test_a_judge_can_be_a_component_and_its_repeats_count_as_their_mean(cli: Cli) -> None:
    write_lines("t.jsonl", [ASKED, ANSWERED])
    repeats = [verdict("g/other", 0.2), verdict("g/other", 0.6, id="again", repeat=1)]
    write_lines("v.jsonl", [*repeats, verdict("g/mainline", 1.0)])
    rewards = reward_rows(cli, "--component", "ruler=0.5", "--verdicts", "v.jsonl")
    assert rewards["g/other"]["components"]["ruler"] == pytest.approx(0.4)
    assert rewards["g/other"]["total"] == pytest.approx(1 - 0.08 + 0.5 * 0.4)
    # What no judge had a hand in.
    assert rewards["g/other"]["independent"] == pytest.approx(1 - 0.08)
    rewards = reward_rows(cli, "--component", "ruler=1", "--w-task", 0, "--verdicts", "v.jsonl")
    assert rewards["g/other"]["total"] == pytest.approx(0.4 - 0.08)


def test_a_missing_verdict_is_a_failure_and_no_score(cli: Cli) -> None:
    write_lines("t.jsonl", [ASKED, ANSWERED])
    write_lines("v.jsonl", [verdict("g/other", 0.25)])
    rewards = reward_rows(cli, "--component", "ruler=1", "--verdicts", "v.jsonl", code=3)
    assert rewards.keys() == {"g/other"}
    (failure,) = [json.loads(text) for text in Path("rewards.failures.jsonl").read_text().splitlines()]
    assert (failure["ids"], failure["error"]) == (["g/mainline"], "MissingVerdict")
    assert json.loads(Path("pairs.meta.json").read_text())["groups_without_pair"] == {"g": "missing reward"}
    write_lines("v.jsonl", [verdict("g/other", 0.25), verdict("g/mainline", 0.5)])
    reward_rows(cli, "--component", "ruler=1", "--verdicts", "v.jsonl")
    assert not Path("rewards.failures.jsonl").exists()


def test_a_plugin_adds_a_component(cli: Cli) -> None:
    write_lines("t.jsonl", [ASKED, ANSWERED])
    Path("mine.py").write_text(
        "from proact.rewards import components\n\n\n@components.register('short')\ndef short(trajectory):\n"
        "    return 1.0 if trajectory.action == 'Clarify' else None\n"
    )
    rewards = reward_rows(cli, "--component", "short=2", "--plugin", "mine.py")
    assert rewards["g/other"]["total"] == pytest.approx(1 - 0.08 + 2)
    assert rewards["g/mainline"]["total"] is None


COMPONENT = (
    "from proact.rewards import components\n\n\n@components.register({name!r})\ndef mine(_):\n    return {value}\n"
)
DOMAIN = (
    "from proact.domains.base import Domain, Score, register\n\n\n@register('law')\nclass Law(Domain):\n"
    "    def score(self, state, message, result):\n        return Score(value={value}, status='scored')\n"
)


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "True", "'high'", "10**400"])
@pytest.mark.parametrize("lines", [[ASKED], [ASKED, ANSWERED]])
def test_what_a_component_gives_is_a_finite_number(cli: Cli, value: str, lines: list[Row]) -> None:
    write_lines("t.jsonl", lines)
    Path("mine.py").write_text(COMPONENT.format(name="mine", value=value))
    ran = cli(*REWARD, "--component", "mine=1", "--plugin", "mine.py")
    assert (ran.code, "component 'mine' gave " in ran.err, "Traceback" in ran.err) == (2, True, False), ran.err
    assert "expected a finite number or None" in ran.err
    assert not Path("rewards.jsonl").exists()


@pytest.mark.parametrize("value", ["float('nan')", "True", "1.5", "'high'"])
def test_what_a_domain_gives_is_a_score(cli: Cli, value: str) -> None:
    write_lines("t.jsonl", [line("other", [("Execute", RIGHT, {})], state=state(domain="law"))])
    Path("law.py").write_text(DOMAIN.format(value=value))
    ran = cli(*REWARD, "--plugin", "law.py")
    assert (ran.code, "law.py:7: the plugin failed" in ran.err, "Traceback" in ran.err) == (2, True, False), ran.err
    assert "expected a score from 0 to 1 or None, got " in ran.err
    assert not Path("rewards.jsonl").exists()


@pytest.mark.parametrize("name", ["n_questions", "satisfaction"])
def test_a_component_takes_no_other_number_s_name(cli: Cli, name: str) -> None:
    write_lines("t.jsonl", [ASKED])
    Path("mine.py").write_text(COMPONENT.format(name=name, value=5))
    ran = cli(*REWARD, "--component", f"{name}=1", "--plugin", "mine.py")
    assert (ran.code, f"component {name!r}: the rewards hold another number called" in ran.err) == (2, True), ran.err


def test_weights_under_which_a_reward_is_no_number_are_refused(cli: Cli) -> None:
    write_lines("t.jsonl", [ASKED, ANSWERED])
    for weights in (("--alpha", "1e308", "--w-questions", "1e308"), ("--w-task", "1e308"), ("--alpha", "1e200")):
        ran = cli(*REWARD, *weights)
        assert (ran.code, "Traceback" in ran.err) == (2, False), ran.err
        assert "expected no more than 1e+100" in ran.err


def test_a_byte_order_mark_is_no_part_of_the_first_line(cli: Cli) -> None:
    mark = b"\xef\xbb\xbf"
    path = write_lines("t.jsonl", [ASKED, ANSWERED])
    path.write_bytes(mark + path.read_bytes())
    assert len(reward_rows(cli)) == 2
    succeeded(cli("judge", "effort", "--in", "t.jsonl", "--out", "v.jsonl"))
    log = write_lines("log.jsonl", [{"messages": ASKED["messages"]}])
    log.write_bytes(mark + log.read_bytes())
    succeeded(cli("judge", "effort", "--in", "log.jsonl", "--out", "w.jsonl"))


def test_an_id_belongs_to_one_line_of_the_file(cli: Cli) -> None:
    write_lines("t.jsonl", [ASKED, {**ANSWERED, "group": "h"}, {**ANSWERED, "group": "b"}])
    ran = cli(*REWARD)
    assert (ran.code, "t.jsonl:3: field id: 'g/mainline' is already on line 2" in ran.err) == (2, True), ran.err


BROKEN = '{"id": "g/x", "group": "g"'


@pytest.mark.parametrize(
    ("lines", "arguments", "message"),
    [
        ([ASKED, BROKEN], [], "t.jsonl:2: not valid JSON (cut off in the middle)"),
        ([ASKED, {"id": "x", "group": "g"}], [], "t.jsonl:2: field state: is required and missing"),
        ([ASKED, {**ANSWERED, "action": "Wait"}], [], "t.jsonl:2: field action: "),
        ([ASKED, ANSWERED, ASKED], [], "t.jsonl:3: field id: 'g/other' is already on line 1"),
        ([{**ASKED, "terminal": False}], [], "t.jsonl:1: the last conversation was cut off"),
        (
            [line("other", [("Execute", RIGHT, {})], state=state(domain="law"))],
            [],
            "t.jsonl:1: field state.domain: unknown domain 'law'",
        ),
        ([{**ASKED, "rollout": [{"at": 9, "action": "Clarify", "meta": {}}]}], [], "t.jsonl:1: field rollout: "),
        ([{**ASKED, "rollout": [], "at": 99}], [], "t.jsonl:1: field at: there is no message 99"),
        ([{**ASKED, "messages": [{"content": "q"}]}], [], "t.jsonl:1: field messages[0].role: expected one of"),
        ([ASKED], ["--spec", "kind"], "unknown reward spec 'kind'; there is: default, strict, per-turn"),
        ([ASKED], ["--component", "tone=1"], "no component or judge called 'tone'"),
        ([ASKED], ["--component", "tone"], "--component tone: expected NAME=WEIGHT"),
        ([ASKED], ["--component", "tone=nan"], "--component tone=nan: expected NAME=WEIGHT"),
        ([ASKED], ["--out", "rewards.jsonl"], "must be different files"),
        ([ASKED], ["--out", "./t.jsonl"], "must be different files"),
        ([ASKED], ["--rewards", "data/external/r.jsonl"], "data/external holds raw data sets"),
    ],
)
def test_an_error_names_its_place_and_leaves_what_was_there(
    cli: Cli, lines: list[Row | str], arguments: list[object], message: str
) -> None:
    kept = ("rewards.jsonl", "pairs.jsonl", "pairs.meta.json")
    for name in kept:
        Path(name).write_text(f"old {name}\n")
    Path("t.jsonl").write_text("".join((text if isinstance(text, str) else json.dumps(text)) + "\n" for text in lines))
    before = Path("t.jsonl").read_bytes()
    ran = cli(*REWARD, *arguments)
    assert (ran.code, message in ran.err) == (2, True), ran.err
    assert "Traceback" not in ran.err
    assert [Path(name).read_text() for name in kept] == [f"old {name}\n" for name in kept]
    assert Path("t.jsonl").read_bytes() == before
    assert sorted(path.name for path in Path().iterdir() if path.is_file()) == sorted([*kept, "t.jsonl"])


def test_two_specs_of_one_judge_are_refused(cli: Cli) -> None:
    write_lines("t.jsonl", [ASKED])
    write_lines("v.jsonl", [verdict("g/other", 0.2, spec="a"), verdict("g/other", 0.3, id="b", spec="b")])
    ran = cli(*REWARD, "--component", "ruler=1", "--verdicts", "v.jsonl")
    assert (ran.code, "v.jsonl holds verdicts of ruler under " in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [("nobody=a", "there is no verdict of it; see --verdicts"), ("ruler=a", "nothing is taken of it; see --component")],
)
def test_a_choice_that_changes_nothing_is_refused(cli: Cli, chosen: str, reason: str) -> None:
    write_lines("t.jsonl", [ASKED])
    write_lines("v.jsonl", [verdict("g/other", 0.2, spec="a")])
    ran = cli(*REWARD, "--verdict-spec", chosen, "--verdicts", "v.jsonl")
    assert (ran.code, f"--verdict-spec {chosen.partition('=')[0]}: {reason}" in ran.err) == (2, True)


def test_other_weights_run_no_program_again(cli: Cli) -> None:
    # A program whose thirty tests pass or fail by chance gives the same results only when it is not run again.
    dice = "```python\nimport random\n\ndef twice(n):\n    return random.SystemRandom().random()\n```"
    task = state(tests=[f"assert twice({index}) < 0.5" for index in range(30)])
    write_lines("t.jsonl", [line("mainline", [("Execute", dice, {})], state=task)])
    first = reward_rows(cli)["g/mainline"]
    again = reward_rows(cli, "--w-task", 3, "--alpha", 0.1)["g/mainline"]
    assert again["tests"] == first["tests"]
    assert again["total"] == pytest.approx(3 * first["total"])
    shutil.rmtree("../cache")
    assert reward_rows(cli)["g/mainline"]["tests"] != first["tests"]


def test_the_order_of_the_lines_does_not_matter(cli: Cli) -> None:
    succeeded(cli("generate", "--mode", "synthetic", "--n-states", 8, "--out", "t.jsonl"))
    lines = Path("t.jsonl").read_text().splitlines(keepends=True)
    reward_rows(cli)
    before = [Path(name).read_bytes() for name in ("rewards.jsonl", "pairs.jsonl", "pairs.meta.json")]
    Path("t.jsonl").write_text("".join(lines[1::2] + lines[::2]))
    reward_rows(cli)
    assert [Path(name).read_bytes() for name in ("rewards.jsonl", "pairs.jsonl", "pairs.meta.json")] == before


def test_a_domain_that_gives_no_score_is_named(cli: Cli) -> None:
    Path("mine.py").write_text(
        "from proact.domains.base import Domain, register\n\n\n@register('slogan')\nclass Slogan(Domain):\n"
        "    def score(self, state, message, result):\n        return 0.5\n"
    )
    write_lines("t.jsonl", [line("mainline", [("Execute", RIGHT, {})], state=state(domain="slogan"))])
    ran = cli(*REWARD, "--plugin", "mine.py")
    assert (ran.code, "domain slogan gave 0.5 for g/mainline; expected a Score" in ran.err) == (2, True), ran.err
    assert not Path("rewards.jsonl").exists()
