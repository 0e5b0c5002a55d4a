"""The shipped states and personas are complete, consistent and give nothing away."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proact.domains.checklist import coverage
from proact.records import Persona, State

DATA = Path(__file__).parent.parent / "data"
SPLITS = {"coding": {"demo": 16, "train": 4, "test": 4}, "planning": {"demo": 8, "train": 2, "test": 2}}


def rows(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / path).read_text("utf-8").splitlines()]


def states(domain: str) -> list[State]:
    return [msgspec.convert(row, State) for row in rows("seeds/tasks.jsonl") if row["domain"] == domain]


CODING, PLANNING = states("coding"), states("planning")


@pytest.mark.parametrize("path", ["seeds/tasks.jsonl", "personas.jsonl"])
def test_lines_are_plain_utf8_in_the_order_of_the_records(path: str) -> None:
    kind = Persona if path == "personas.jsonl" else State
    order = kind.__struct_fields__
    for line, row in zip((DATA / path).read_text("utf-8").splitlines(), rows(path), strict=True):
        assert line == json.dumps(row, ensure_ascii=False)
        assert list(row) == [name for name in order if name in row]


@pytest.mark.parametrize(("domain", "found"), [("coding", CODING), ("planning", PLANNING)])
def test_ids_are_unique_and_splits_have_their_sizes(domain: str, found: list[State]) -> None:
    assert len({state.id for state in found}) == len(found) == sum(SPLITS[domain].values())
    assert Counter(state.split for state in found) == SPLITS[domain]
    assert {state.domain for state in found} == {domain}
    families: dict[str | None, set[str | None]] = defaultdict(set)
    for state in found:
        families[state.family].add(state.split)
        assert 2 <= len(state.facts) <= 4
        assert len({fact.id for fact in state.facts}) == len(state.facts)
        assert all(fact.text and fact.about for fact in state.facts)
        assert state.intent
    assert all(len(splits) == 1 for splits in families.values())


def test_twins_differ_only_in_what_the_request_says() -> None:
    twins: dict[str | None, dict[str, State]] = defaultdict(dict)
    for state in CODING:
        twins[state.family][state.id.removeprefix(f"{state.family}-")] = state
    assert len(twins) == 12
    for pair in twins.values():
        vague, clear = pair["vague"], pair["clear"]
        for name in ("family", "tests", "reference", "intent", "facts", "split"):
            assert getattr(vague, name) == getattr(clear, name)
        assert 0.7 <= vague.task_uncertainty <= 0.9
        assert 0.05 <= clear.task_uncertainty <= 0.2
        assert len(vague.query) < len(clear.query)


@pytest.mark.parametrize("state", CODING, ids=lambda state: state.id)
def test_only_the_clear_request_names_the_function(state: State) -> None:
    assert state.reference
    name = state.reference.split("(")[0].removeprefix("def ")
    assert isinstance(state.tests, list)
    assert 3 <= len(state.tests) <= 5
    assert all(test.startswith("assert ") and f"{name}(" in test for test in state.tests)
    assert any(name in fact.text for fact in state.facts)
    assert (name in state.query) == state.id.endswith("-clear")


@pytest.mark.parametrize("state", [s for s in CODING if s.id.endswith("-vague")], ids=lambda state: state.id)
def test_reference_passes_and_a_guess_fails(state: State) -> None:
    def passes(code: str) -> bool:
        program = "\n".join([code, *(state.tests or [])])
        return subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, timeout=20).returncode == 0

    assert state.reference
    assert passes(state.reference)
    wrong = json.loads((Path(__file__).parent / "data" / "wrong_guesses.json").read_text("utf-8"))
    assert not any(passes(guess) for guess in wrong[state.family])
    header = state.reference.splitlines()[0]
    assert not passes(f"{header}\n    return None")
    assert not passes(state.reference.replace("def ", "def my_"))


@pytest.mark.parametrize("state", PLANNING, ids=lambda state: state.id)
def test_reference_plan_covers_all_and_the_request_nothing(state: State) -> None:
    assert state.checklist
    assert 4 <= len(state.checklist) <= 6
    assert state.reference
    assert all(coverage(state.checklist, state.reference, request=state.query).values())
    assert not any(coverage(state.checklist, state.query).values())


def test_personas_spread_patience_evenly_and_say_no_level() -> None:
    personas = [msgspec.convert(row, Persona) for row in rows("personas.jsonl")]
    assert [persona.patience for persona in personas] == ["low", "mid", "high"] * 2
    assert len({(persona.patience, persona.expertise) for persona in personas}) == len(personas) == 6
    assert Counter(persona.expertise for persona in personas) == {"low": 2, "mid": 2, "high": 2}
    for persona in personas:
        assert persona.domain == "any"
        assert 1 <= len(persona.preferences) <= 2
        assert not {"low", "mid", "high", "patience", "patient", "expertise"} & set(persona.profile.lower().split())
        assert not any(letter.isdigit() for letter in persona.profile)
