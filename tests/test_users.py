"""The simulated user that answers by rule: how often, what, and how content it is."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from proact.keys import keyed_random
from proact.parsing import parse
from proact.records import Action, Level, Persona, ReactionMeta, State, UserReaction
from proact.users import Situation
from proact.users.personas import satisfaction
from proact.users.rule import DISPLEASED, NOT_MINE, NOTHING, PLEASED, REFUSALS, UNDECIDED, VAGUE, Rule

FACTS = [
    {"id": "name", "text": "The function is called twice.", "about": "name of the function, called"},
    {"id": "empty", "text": "An empty list gives 0.", "about": "empty list, nothing"},
    {"id": "order", "text": "The numbers come sorted.", "about": "order, sorted"},
]
DRAWS = 3000


def met(
    message: str,
    *,
    name: str = "s",
    patience: Level = "high",
    expertise: Level = "high",
    action: Action = "Clarify",
    asked_before: int = 0,
    completed: bool | None = None,
    turn: int = 0,
    **fields: Any,
) -> Situation:
    task = {"id": name, "domain": "coding", "query": "Write a function.", "facts": FACTS, **fields}
    return Situation(
        state=parse(task, State),
        persona=Persona(name="pat", patience=patience, expertise=expertise),
        messages=[{"role": "user", "content": "Write a function."}, {"role": "assistant", "content": message}],
        action=action,
        turn=turn,
        asked_before=asked_before,
        completed=completed,
        seed=0,
        replicate=0,
        sample=0,
    )


def reacts(situation: Situation) -> UserReaction:
    return asyncio.run(Rule().react(situation)).reaction


def answers(message: str, **options: Any) -> UserReaction:
    """The reaction of the first user that does not refuse and states what it is asked."""
    for number in range(100):
        reaction = reacts(met(message, name=f"s{number}", **options))
        if not reaction.meta.reject_signal and reaction.user_reply not in VAGUE:
            return reaction
    raise AssertionError("nobody answers")


def share(counts: list[int], expected: float) -> None:
    mean = sum(counts) / len(counts)
    assert abs(mean - expected) < 3 * math.sqrt(expected * (1 - expected) / len(counts))


@pytest.mark.parametrize(("patience", "expected"), [("low", 0.3), ("mid", 0.6), ("high", 0.9)])
@pytest.mark.parametrize("asked", [0, 1, 4])
def test_patience_and_earlier_questions_decide_whether_it_answers(patience: Level, expected: float, asked: int) -> None:
    situations = [
        met("What is it called?", name=f"{patience}-{asked}-{number}", patience=patience, asked_before=asked)
        for number in range(DRAWS)
    ]
    metas = [reacts(situation).meta for situation in situations]
    assert all(meta.answered_clarification + meta.reject_signal == 1 for meta in metas)
    share([meta.answered_clarification for meta in metas], expected * 0.9**asked)


@pytest.mark.parametrize(("expertise", "expected"), [("low", 0.3), ("mid", 0.6), ("high", 0.9)])
def test_expertise_decides_whether_an_answer_states_the_fact(expertise: Level, expected: float) -> None:
    situations = [
        met("What is it called?", name=f"{expertise}-{number}", expertise=expertise) for number in range(DRAWS)
    ]
    reactions = [found for found in map(reacts, situations) if found.meta.answered_clarification]
    assert len(reactions) > 0.8 * DRAWS
    for reaction in reactions:
        stated = reaction.user_reply == "The function is called twice."
        assert stated or reaction.user_reply in VAGUE
        assert reaction.meta.revealed == (["name"] if stated else [])
        assert reaction.meta.answer_clarity == float(stated)
    share([len(reaction.meta.revealed) for reaction in reactions], expected)


def test_a_refusal_says_so_and_reveals_nothing() -> None:
    refused = next(
        found
        for number in range(100)
        if (found := reacts(met("What is it called?", name=f"{number}", patience="low"))).meta.reject_signal
    )
    assert refused.user_reply in REFUSALS
    assert (refused.meta.revealed, refused.meta.answered_clarification) == ([], 0)


@pytest.mark.parametrize(
    ("message", "revealed"),
    [
        ("What should the function be called?", {"name"}),
        ("What does an empty list give?", {"empty"}),
        ("What is it called? And what does an empty list give?", {"name", "empty"}),
        ("Is it called something, with an empty list, in some order?", {"name"}),
        ("How are you?", set()),
        ("Tell me the name.", set()),
        ("Does `called?` matter?", set()),
    ],
)
def test_only_facts_that_a_question_addresses_are_revealed_and_one_for_each(message: str, revealed: set[str]) -> None:
    told = set()
    for number in range(60):
        meta = reacts(met(message, name=f"s{number}")).meta
        assert len(meta.revealed) <= max(1, message.count("? ") + 1)
        told |= set(meta.revealed)
    if len(revealed) == 1 and "order" in message:
        assert len(told) == 1
    else:
        assert told == revealed


def test_a_question_about_nothing_it_knows_gets_no_answer() -> None:
    reaction = answers("Which weather do you like?")
    assert reaction.user_reply == NOT_MINE
    assert (reaction.meta.answered_clarification, reaction.meta.answer_clarity) == (0, 0.0)


def test_asked_again_it_says_the_same_again() -> None:
    twice_in_one_message = answers("What is it called? What is the name of the function?")
    a_turn_later = answers("What is it called?", turn=1, asked_before=2)
    for reaction in (twice_in_one_message, a_turn_later):
        assert (reaction.user_reply, reaction.meta.revealed) == ("The function is called twice.", ["name"])


def test_without_facts_it_has_nothing_to_add() -> None:
    reaction = answers("What is it called?", facts=[])
    assert reaction.user_reply == NOTHING
    assert (reaction.meta.no_ground_truth, reaction.meta.answered_clarification) == (1, 0)


def test_without_facts_the_sentences_of_the_intent_are_facts() -> None:
    intent = "The function is called thrice. It returns 3.5 at least!\nAn empty list gives -1."
    situation = met("?", facts=[], intent=intent)
    assert [(fact.id, fact.text) for fact in situation.facts] == [
        ("intent-0", "The function is called thrice."),
        ("intent-1", "It returns 3.5 at least!"),
        ("intent-2", "An empty list gives -1."),
    ]
    reaction = answers("What happens with an empty list?", facts=[], intent=intent)
    assert (reaction.user_reply, reaction.meta.revealed) == ("An empty list gives -1.", ["intent-2"])
    assert reaction.meta.no_ground_truth == 0


@pytest.mark.parametrize(("count", "patience", "silent"), [(201, "low", 1), (200, "low", 0), (201, "mid", 0)])
@pytest.mark.parametrize("action", ["Clarify", "Execute"])
def test_an_impatient_user_says_nothing_to_a_long_message(
    count: int, patience: Level, silent: int, action: Action
) -> None:
    code = "```python\n" + "x = 1\n" * 300 + "```\n"
    reaction = reacts(met(code + "word " * (count - 1) + "called?", patience=patience, action=action))
    assert reaction.meta.silence == silent
    assert (reaction.user_reply == "") == bool(silent)


@pytest.mark.parametrize(
    ("message", "off"),
    [("What is it called?", 0), ("Is it a function?", 0), ("Which weather do you like?", 1), ("Let me think.", 1)],
)
def test_a_question_that_shares_no_word_with_the_task_is_off_topic(message: str, off: int) -> None:
    assert reacts(met(message)).meta.off_topic_flag == off


@pytest.mark.parametrize(("completed", "reply"), [(True, PLEASED), (False, DISPLEASED), (None, UNDECIDED)])
def test_to_an_answer_it_says_whether_it_is_content_and_never_why(completed: bool | None, reply: str) -> None:
    reaction = reacts(met("def twice(n): ...", action="Execute", completed=completed, tests=["assert canary(1)"]))
    assert reaction.user_reply == reply
    assert (reaction.meta.reject_signal, reaction.meta.off_topic_flag, reaction.meta.satisfaction) == (0, 0, 0.6)


@pytest.mark.parametrize(
    ("flags", "n_questions", "expected"),
    [
        ({}, 0, 0.6),
        ({"answered_clarification": 1}, 1, 0.85),
        ({"answered_clarification": 1}, 2, 0.85),
        ({"answered_clarification": 1}, 3, 0.75),
        ({"reject_signal": 1}, 1, 0.3),
        ({"reject_signal": 1, "off_topic_flag": 1}, 4, 0.0),
        ({"silence": 1}, 1, 0.5),
        ({"silence": 1, "off_topic_flag": 1}, 9, 0.0),
    ],
)
def test_satisfaction_follows_its_table(flags: dict[str, int], n_questions: int, expected: float) -> None:
    meta = ReactionMeta(
        answered_clarification=flags.get("answered_clarification", 0),
        reject_signal=flags.get("reject_signal", 0),
        silence=flags.get("silence", 0),
        off_topic_flag=flags.get("off_topic_flag", 0),
    )
    assert satisfaction(meta, n_questions) == expected


def test_chance_is_keyed_by_what_it_decides() -> None:
    key = (0, "state", "pat", 1, 0, "answers")
    one = keyed_random(*key).random()
    assert keyed_random(*key).random() == one
    others: list[tuple[int, str, str, int, int, str]] = [
        (1, *key[1:]),
        (0, "other", *key[2:]),
        (*key[:2], "ann", *key[3:]),
        (*key[:3], 2, *key[4:]),
        (*key[:4], 1, key[5]),
        (*key[:5], "words"),
    ]
    assert len({one, *(keyed_random(*other).random() for other in others)}) == 7
