"""States that are made on the spot: small tasks with slots, some of which the request leaves open.

They make `--mode synthetic` a complete run without a data set: the facts, tests and checklists are real.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

from proact.errors import UsageError
from proact.keys import digest64
from proact.llm.synthetic import EMPTY, FILTERS, OPERATIONS
from proact.records import ChecklistItem, Fact, State

VERBS = ("fold", "boil", "tally", "gauge", "weigh", "merge")
EVENTS = ("team lunch", "reading evening", "family reunion", "workshop", "garden party")
MONTHS = ("March", "April", "May", "June", "September", "October")
SAMPLES: tuple[list[int], ...] = ([3, -4, 8, 5, -7, 2], [10, -3, -8, 7], [], [1, 2, 3, 4], [-5, -2], [9])


def states(domain: str, count: int) -> Iterator[State]:
    """The first `count` puzzles of a domain; the n-th is the same in every run."""
    if domain not in MAKERS:
        raise UsageError(f"--mode synthetic makes {' and '.join(MAKERS)} states, not {domain!r}")
    for index in range(count):
        yield MAKERS[domain](index, random.Random(digest64(f"puzzle {domain} {index}")))


def coding(index: int, chance: random.Random) -> State:
    """Compute one number from a list; the request names some of four slots, facts name the others."""
    name = f"{chance.choice(VERBS)}_{chance.randrange(10, 99)}"
    operation, kept, empty = chance.choice(list(OPERATIONS)), chance.choice(list(FILTERS)), chance.choice(EMPTY)
    parts = {
        "name": (f"the function is called {name}", "name of the function, called", "name"),
        "operation": (f"it returns the {operation}", "result, compute, operation, calculate", "operation"),
        "filter": (f"only {kept} numbers are counted", "which numbers are counted, included, filter", "filter"),
        "empty": (f"when no number is left, return {empty}", "empty list, no number left, returned", "empty"),
    }
    if kept == "all":
        parts["filter"] = ("all of the numbers are counted", *parts["filter"][1:])
    hidden = chance.sample(list(parts), k=index % 4)
    opening = "Write a Python function that works out one number from a list of integers."
    shown = [text for slot, (text, *_) in parts.items() if slot not in hidden]
    wanted = [text for text, *_ in parts.values()]
    return State(
        id=f"puzzle-coding-{index}",
        domain="coding",
        query=" ".join([opening, *map(_sentence, shown)]),
        task_uncertainty=round(len(hidden) / 4, 2),
        intent=" ".join([opening, *map(_sentence, wanted)]),
        facts=[Fact(id=slot, text=_sentence(parts[slot][0]), about=parts[slot][1]) for slot in hidden],
        tests=[f"assert {name}({sample}) == {_result(sample, operation, kept, empty)}" for sample in SAMPLES],
        family=f"puzzle-coding-{len(hidden)}",
    )


def planning(index: int, chance: random.Random) -> State:
    """Plan an event; the request names some of three values, facts name the others."""
    people, budget = str(chance.choice((5, 10, 20, 40))), str(chance.choice((100, 200, 500, 1000)))
    date = f"{chance.choice(MONTHS)} {chance.randrange(1, 29)}"
    parts = {
        "people": (f"{people} people take part", "how many people, guests, take part"),
        "budget": (f"the budget is {budget} euros", "budget, money, cost"),
        "date": (f"it takes place on {date}", "date, day, when"),
    }
    hidden = chance.sample(list(parts), k=index % 4)
    opening = f"Plan a {chance.choice(EVENTS)}."
    shown = [_sentence(text) for slot, (text, _) in parts.items() if slot not in hidden]
    month, day = date.split()
    return State(
        id=f"puzzle-planning-{index}",
        domain="planning",
        query=" ".join([opening, *shown]),
        task_uncertainty=round(len(hidden) / 3, 2),
        intent=" ".join([opening, *(_sentence(text) for text, _ in parts.values())]),
        facts=[Fact(id=slot, text=_sentence(parts[slot][0]), about=parts[slot][1]) for slot in hidden],
        checklist=[
            ChecklistItem(id="room", text=f"Book a room for {people} people.", concepts=[["room", "place"], [people]]),
            ChecklistItem(id="money", text=f"Stay under {budget} euros.", concepts=[["budget", "cost"], [budget]]),
            ChecklistItem(id="day", text=f"Reserve {date}.", concepts=[[month], [day]]),
            ChecklistItem(id="invite", text="Invite everybody in time.", concepts=[["invite", "invitation"]]),
        ],
        family=f"puzzle-planning-{len(hidden)}",
    )


MAKERS: dict[str, Callable[[int, random.Random], State]] = {"coding": coding, "planning": planning}


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _result(sample: list[int], operation: str, kept: str, empty: str) -> str:
    keep: dict[str, Callable[[int], bool]] = {
        "all": lambda n: True,
        "even": lambda n: n % 2 == 0,
        "odd": lambda n: n % 2 == 1,
        "positive": lambda n: n > 0,
        "negative": lambda n: n < 0,
    }
    reduce: dict[str, Callable[[list[int]], int]] = {
        "sum": sum,
        "product": math.prod,
        "largest": max,
        "smallest": min,
        "spread": lambda chosen: max(chosen) - min(chosen),
    }
    chosen = [n for n in sample if keep[kept](n)]
    return str(reduce[operation](chosen)) if chosen else empty
