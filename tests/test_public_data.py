"""Public data sets with real ambiguity become states; the files are a user's own, so these tests need them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from support import Cli, Row, write_lines

from proact.datasets import clariq, humanevalcomm, in3
from proact.errors import InputError
from proact.records import State
from proact.sandbox import Program, Sandbox


def published(name: str) -> Path:
    return Path(os.environ["PROACT_SHARED"]) / "data" / name


@pytest.fixture(scope="module")
def problems() -> list[State]:
    return list(humanevalcomm.states(published("HumanEvalComm.jsonl")))


@pytest.mark.shared
def test_humanevalcomm_gives_the_originals_and_the_variants_of_the_paper(problems: list[State]) -> None:
    assert Counter(state.metadata["should"] for state in problems) == {"Execute": 164, "Clarify": 762}
    assert len({state.id for state in problems}) == 926
    assert len({state.family for state in problems}) == 164
    assert not any(state.id.endswith("3acp") for state in problems)
    for state in problems:
        original = state.metadata["should"] == "Execute"
        assert (state.task_uncertainty == 0) == original == (not state.metadata["wrong"])


@pytest.mark.shared
def test_the_reference_of_every_original_passes_its_tests(problems: list[State]) -> None:
    originals = [state for state in problems if state.metadata["should"] == "Execute"]
    with Sandbox() as sandbox:
        programs = [
            Program(id=state.id, code=state.reference, tests=tuple(state.tests or ()), setup=state.setup or "")
            for state in originals
        ]
        failed = [result.id for result in sandbox.run_many(programs) if not all(result.passed) or not result.passed]
    assert failed == []


@pytest.mark.shared
def test_tests_call_the_function_that_the_request_names(problems: list[State]) -> None:
    renamed = [state for state in problems if "def candidate(" in state.query]
    assert len(renamed) > 100
    for state in renamed:
        assert all("candidate(" in test for test in state.tests or ())
        assert "def candidate(" in (state.reference or "")
    plain = next(state for state in problems if state.id == "HumanEval/0")
    assert all("has_close_elements(" in test for test in plain.tests or ())


@pytest.mark.shared
@pytest.mark.parametrize(
    ("problem", "test"),
    [
        ("HumanEval/2", "assert abs(truncate_number(1.33) - 0.33) < 1e-6"),
        ("HumanEval/11", "assert string_xor('111000', '101010') == '010010'"),
        ("HumanEval/32", "assert abs(poly([-10, -2], find_zero([-10, -2]))) < 1e-4"),
        ("HumanEval/44", "assert change_base(8, 3) == '22'"),
        ("HumanEval/103", "assert rounded_avg(1, 5) == '0b11'"),
        ("HumanEval/103", "assert rounded_avg(7, 5) == -1"),
    ],
)
def test_relations_and_unquoted_strings_are_understood(problems: list[State], problem: str, test: str) -> None:
    (state,) = [state for state in problems if state.id == problem]
    assert test in (state.tests or ())


@pytest.mark.shared
def test_what_the_user_knows_is_the_original(problems: list[State]) -> None:
    (state,) = [state for state in problems if state.id == "HumanEval/0/1a"]
    facts = {fact.id: fact.text for fact in state.facts}
    assert "candidate(numbers: List[float], threshold: float) -> bool" in facts["signature"]
    assert "closer to each other than" in facts["purpose"]
    assert ">>>" not in facts["purpose"]
    assert "candidate([1.0, 2.0, 3.0], 0.5)" in facts["example"]


@pytest.mark.shared
def test_clariq_gives_one_state_for_each_request_and_facet() -> None:
    states = list(clariq.states(published("ClariQ-dev.tsv")))
    assert len(states) == 163
    assert len({state.family for state in states}) == 50
    first = states[0]
    assert first.query == "Find me information about the Ritz Carlton Lake Las Vegas."
    assert first.task_uncertainty == pytest.approx(1 / 3, abs=1e-4)
    assert first.facts[0].about == "are you looking for a specific web site"
    assert first.facts[0].text == "yes for the ritz carlton resort at lake las vegas"


@pytest.mark.shared
def test_in3_gives_vague_and_clear_tasks() -> None:
    states = list(in3.states(published("IN3-test.jsonl")))
    assert Counter(state.metadata["should"] for state in states) == {"Clarify": 95, "Execute": 13}
    vague = states[0]
    assert len(vague.facts) == len(vague.checklist or ()) == 3
    assert vague.facts[0].text in {f"Type of diabetes: {kind}." for kind in ("Type 1", "Type 2", "Gestational")}
    clear = next(state for state in states if state.metadata["should"] == "Execute")
    assert clear.task_uncertainty == 0
    assert clear.checklist is None


CASE = {"input": "1", "output": "1"}


def test_files_of_another_kind_are_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"name": "HumanEval/0"}\n', "utf-8")
    with pytest.raises(InputError, match="x.jsonl:1: not a HumanEvalComm problem"):
        list(humanevalcomm.states(path))
    with pytest.raises(InputError, match="x.jsonl:1: not an IN3 task"):
        list(in3.states(path))
    with pytest.raises(InputError, match="x.jsonl:1: not ClariQ: there is no column"):
        list(clariq.states(path))


def test_a_reference_that_fails_its_tests_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(
        '{"name": "HumanEval/0", "entry_point": "f", "prompt": "def f(x):", "solution": "def f(x):\\n    return x",'
        ' "test_case": [{"input": "1", "output": "2", "relation": "=="}]}\n',
        "utf-8",
    )
    with pytest.raises(InputError, match="x.jsonl:1: field solution: the reference of HumanEval/0 fails its tests"):
        list(humanevalcomm.states(path))
    path.write_text(path.read_text("utf-8").replace("def f(x):\\n", "def f(x)\\n"), "utf-8")
    with pytest.raises(InputError, match="x.jsonl:1: field solution: the reference of HumanEval/0 is no Python"):
        list(humanevalcomm.states(path))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"solution": "f = lambda x: x"}, "field solution: the reference of HumanEval/0 defines no function f"),
        ({"entry_point": "f("}, "field entry_point: expected the name of a function"),
        ({"entry_point": "def"}, "field entry_point: expected the name of a function"),
        ({"test_case": [{"input": "(", "output": "1"}]}, "field test_case[0]: input, output and relation make no test"),
        ({"test_case": [CASE, {**CASE, "relation": "("}]}, "field test_case[1]: input, output and relation make no"),
        (
            {"test_case": [{**CASE, "relation": "1\nassert 1"}]},
            "field test_case[0]: input, output and relation make no",
        ),
        (
            {"test_case": [{**CASE, "output": "{[]: 1}"}]},
            "field solution: the reference of HumanEval/0 fails its tests",
        ),
        ({"test_case": []}, "Expected `array` of length >= 1 - at `$.test_case`"),
        (
            {"solution": "import nothere\ndef f(x): ..."},
            "field solution: the reference of HumanEval/0 could not be run: ",
        ),
        ({"prompt1a": 5}, "field prompt1a: expected a text, got int"),
        ({"prompt2cp": []}, "field prompt2cp: expected a text, got list"),
    ],
)
def test_what_is_wrong_with_a_humanevalcomm_problem_is_said_in_a_line(cli: Cli, wrong: Row, said: str) -> None:
    problem = {"name": "HumanEval/0", "entry_point": "f", "prompt": "def f(x):", "solution": "def f(x):\n    return x"}
    fine = {**problem, "test_case": [CASE], "prompt1a": "Do f."}
    ran = cli("convert", "humanevalcomm", write_lines("x.jsonl", [fine, {**fine, **wrong}]))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("proact: x.jsonl:2: "), ran.err
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_detail_that_has_no_importance_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    detail = '{"description": "Where", "importance": "high", "inquiry": "Where?", "options": ["here"]}'
    path.write_text(f'{{"task": "Meet me.", "vague": true, "missing_details": [{detail}]}}\n', "utf-8")
    with pytest.raises(InputError, match=r"x.jsonl:1: not an IN3 task: .*importance"):
        list(in3.states(path))


def test_a_table_begins_with_a_mark_or_is_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    columns = "\t".join(sorted(clariq.COLUMNS))
    path.write_text(f"\ufeff{columns}\n" + "\t".join(["a", "2", "f", "1", "what", "why?", "q1", "7"]) + "\n", "utf-8")
    assert [state.id for state in clariq.states(path)] == ["clariq-7-1"]
    for harm in (b"\xff\xfe\n", b"x" * 140_000):
        path.write_bytes(columns.encode() + b"\n" + harm)
        with pytest.raises(InputError, match=r"x.tsv:\d: not ClariQ: "):
            list(clariq.states(path))
