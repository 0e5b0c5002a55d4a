"""`proact validate` names every bad line, and not only the first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rows import line
from support import EXAMPLES, RIGHT, Cli, Row, persona, state, succeeded, write_lines

BAD: list[tuple[Row | str, str]] = [
    (state("a"), ""),
    ("{", ":2: not valid JSON (cut off in the middle)"),
    (state("b", query=3), ":3: field query: expected str, got int"),
    (state("a"), ":4: field id: 'a' is already on line 1"),
    (state("c", tests=["assert ("]), ":5: field tests[0]: not valid Python"),
    (state("d", reference="def"), ":6: field reference: not valid Python"),
    (state("e", query=" "), ":7: field query: is empty"),
    (state("f", facts=[{"id": "x", "text": "1"}, {"id": "x", "text": "2"}]), ":8: field facts: the id 'x'"),
    ([1], ":9: expected a JSON object, got list"),  # type: ignore[list-item]
    (state("g", task_uncertainty=2), ":10: field task_uncertainty: expected float <= 1.0"),
    (state("h", unknown=True), ""),
    ('{"id": "i", "query": NaN}', ":12: not valid JSON"),
    ({"id": "j"}, ":13: field query: is required and missing"),
]


def test_every_bad_line_is_named(cli: Cli) -> None:
    texts = [row if isinstance(row, str) else json.dumps(row) for row, _ in BAD]
    Path("s.jsonl").write_text("\n".join(texts) + "\n")
    ran = cli("validate", "s.jsonl")
    assert ran.code == 2
    expected = [f"s.jsonl{message}" for _, message in BAD if message]
    found = ran.err.splitlines()
    assert len(found) == len(expected) + 1
    for message in expected:
        assert any(row.startswith(message) for row in found), message
    assert found[-1] == f"s.jsonl: 13 lines of kind state, {len(expected)} problems"
    report = json.loads(cli("validate", "s.jsonl", "--json").out)
    assert (report["exit_code"], len(report["problems"])) == (2, len(expected))


def test_a_file_without_a_problem(cli: Cli) -> None:
    write_lines("s.jsonl", [state("a"), state("b")])
    ran = succeeded(cli("validate", "s.jsonl"))
    assert ran.err == "s.jsonl: 2 lines of kind state, all fine\n"


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (persona(), "persona"),
        (line("mainline", [("Execute", RIGHT, {})]), "trajectory"),
        ({"id": "c", "messages": []}, "conversation"),
        ({"id": "c", "turns": []}, "conversation"),
        ({"id": "v", "trajectory": "t", "judge": "ruler"}, "verdict"),
        ({"id": "v", "score": 1.0}, "gold"),
        ({"ids": ["t"], "stage": "judge", "judge": "ruler", "error": "ReplyError", "message": "no JSON"}, "failure"),
    ],
)
def test_the_kind_of_a_file_is_recognised(cli: Cli, row: Row, kind: str) -> None:
    write_lines("x.jsonl", [row])
    report = json.loads(succeeded(cli("validate", "x.jsonl", "--json")).out)
    assert (report["kind"], report["problems"]) == (kind, [])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (line("mainline", [("Execute", RIGHT, {})], at=9), "field at: there is no message 9"),
        (line("mainline", [("Execute", RIGHT, {})], p_clarify=1.5), "field p_clarify: expected float <= 1.0"),
        (
            line("mainline", [("Execute", RIGHT, {})], rollout=[{"at": 7, "action": "Execute", "meta": {}}]),
            "field rollout: there is no message 7",
        ),
        (
            {"id": "c", "messages": [{"role": "robot", "content": "hi"}]},
            "field messages[0].role: expected one of assistant, ",
        ),
        ({"id": "c", "messages": [], "tests": 3}, "field tests: "),
        (state("a", tests=["def check(f):\n    assert f(1)"]), "field tests: the tests check nothing"),
        (state("a", domain="slogan"), "field domain: unknown domain 'slogan'; there is: coding, planning"),
        (
            line("mainline", [("Execute", RIGHT, {})], state=state("a", domain="slogan")),
            "field state.domain: unknown domain 'slogan'; there is: coding, planning",
        ),
        ({"id": "v", "label": None}, "neither label nor score is given"),
        (
            {"id": "v", "trajectory": "t", "judge": "ruler", "confidence": 2.0},
            "field confidence: expected float <= 1.0",
        ),
    ],
)
def test_what_the_stages_refuse_is_a_problem(cli: Cli, row: Row, reason: str) -> None:
    write_lines("f.jsonl", [row])
    ran = cli("validate", "f.jsonl")
    assert (ran.code, ran.err.splitlines()[0].startswith(f"f.jsonl:1: {reason}")) == (2, True), ran.err


def test_a_domain_of_a_plugin_is_known_with_the_plugin(cli: Cli) -> None:
    write_lines("s.jsonl", [state("a", domain="slogan")])
    assert "all fine" in succeeded(cli("validate", "s.jsonl", "--plugin", EXAMPLES / "my_domain.py")).err


def test_what_a_terminal_would_obey_is_not_printed(cli: Cli) -> None:
    write_lines("f.jsonl", [state("a\x1b[31m"), state("a\x1b[31m")])
    assert "\x1b" not in cli("validate", "f.jsonl").err
    row = line("mainline", [("Execute", RIGHT, {})], method="m\x1b]0;mine\x07")
    write_lines("t.jsonl", [row])
    ran = succeeded(cli("eval", "t.jsonl", "--no-plot"))
    assert ("\x1b" in ran.out, "\x07" in ran.out) == (False, False)


def test_what_the_stages_write_is_valid(cli: Cli) -> None:
    succeeded(cli("generate", "--mode", "synthetic", "--n-states", 2))
    succeeded(cli("reward", "--no-thin"))
    for name, kind in (("logs/trajectories", "trajectory"), ("logs/rewards", "reward"), ("dpo/pairs", "pair")):
        report = json.loads(succeeded(cli("validate", f"data/{name}.jsonl", "--json")).out)
        assert (report["kind"], report["problems"]) == (kind, [])


def test_what_eval_and_sweep_write_is_valid(cli: Cli) -> None:
    succeeded(cli("generate", "--mode", "synthetic", "--n-states", 6))
    succeeded(cli("reward"))
    succeeded(cli("eval", "--no-plot"))
    succeeded(cli("sweep", "--alpha", "0:2:1"))
    written = {"conversations": "measured", "metrics": "metric", "sweep": "weighting", "flips": "flip"}
    for name, kind in written.items():
        report = json.loads(succeeded(cli("validate", f"data/eval/{name}.jsonl", "--json")).out)
        assert (report["kind"], report["problems"]) == (kind, [])
        assert report["lines"] > 0


def test_rows_for_other_trainers_are_no_labels_of_people(cli: Cli) -> None:
    write_lines("kto.jsonl", [{"prompt": "Double it.", "completion": "Clarify", "label": True, "advantage": 0.2}])
    assert "kto.jsonl:1: fits no kind of record" in cli("validate", "kto.jsonl").err


def test_the_help_names_every_kind(cli: Cli) -> None:
    known = cli("validate", "x.jsonl", "--kind", "song").err.partition("there is: ")[2].strip()
    shown = " ".join(succeeded(cli("validate", "--help")).out.split())
    assert known.replace(", gold", " or gold") in shown


def test_what_cannot_be_checked(cli: Cli) -> None:
    write_lines("x.jsonl", [{"colour": "red"}])
    assert "x.jsonl:1: fits no kind of record; name one with --kind" in cli("validate", "x.jsonl").err
    ran = cli("validate", "x.jsonl", "--kind", "song")
    assert (ran.code, "unknown kind 'song'; there is: state, persona" in ran.err) == (2, True)
    assert "void.jsonl: no such file" in cli("validate", "void.jsonl").err
