"""A stand-in for a language model: deterministic, free, and asked for by name.

It really reads the dialogue: for the puzzles of worlds/puzzles.py it writes code or a plan from what has been said,
guesses what has not, and now and then makes a mistake. For any other task its answers run but rarely succeed.
Nothing that it earns says anything about a real model.
"""

from __future__ import annotations

import random
import re
from typing import Any

import msgspec
import orjson

from proact.errors import UsageError
from proact.keys import digest64
from proact.llm.base import Completion, Request
from proact.prompts import load

OPERATIONS = {
    "sum": "sum(chosen)",
    "product": "math.prod(chosen)",
    "largest": "max(chosen)",
    "smallest": "min(chosen)",
    "spread": "max(chosen) - min(chosen)",
}
FILTERS = {
    "all": "True",
    "even": "n % 2 == 0",
    "odd": "n % 2 == 1",
    "positive": "n > 0",
    "negative": "n < 0",
}
EMPTY = ("0", "None", "-1")
MISTAKES = 0.1
OPENINGS = ("Here is my answer.", "This should do it.", "Here you go.", "This is how I would do it.")
QUESTIONS = {
    "name": "What should the function be called?",
    "operation": "Which result should the function compute from the numbers?",
    "filter": "Which numbers should be counted?",
    "empty": "What should be returned when no number is left, for example for an empty list?",
    "people": "How many people take part?",
    "budget": "What is the budget?",
    "date": "On which date does it take place?",
}
CODE_SLOTS = {
    "name": r"called `?(\w+)",
    "operation": rf"\b(?:the|their) ({'|'.join(OPERATIONS)})\b",
    "filter": rf"\b({'|'.join(FILTERS)}) (?:of the )?numbers",
    "empty": r"(?:left|empty list)[^.\n]*? return (0|None|-1)",
}
PLAN_SLOTS = {"people": r"(\d+) people", "budget": r"budget (?:of|is) (\d+)", "date": r"\bon (\w+ \d+)\b"}
_WRITTEN = """\
```python
import math


def {name}({argument}):
    chosen = [n for n in {argument} if {filter}]
    if not chosen:
        return {empty}
    return {operation}
```"""


class Synthetic:
    """The stand-in as a chat model. Raises UsageError for any name but the empty one: there is only one of it."""

    def __init__(self, rest: str = "") -> None:
        if rest:
            raise UsageError(f"synthetic: takes no name, got {rest!r}")
        self.name = self.endpoint = "synthetic:"

    async def complete(self, request: Request) -> Completion:
        chance = random.Random(digest64(msgspec.json.encode([request.seed, request.sample, request.messages]).decode()))
        text = self._reply(request, chance)
        sent = sum(len(str(message["content"]).split()) for message in request.messages)
        return Completion(text=text, prompt_tokens=sent, completion_tokens=len(text.split()))

    def _reply(self, request: Request, chance: random.Random) -> str:
        if request.schema is not None:
            return orjson.dumps(instance(request.schema, request.schema.get("$defs", {}), chance)).decode()
        said = "\n".join(str(message["content"]) for message in request.messages if message["role"] == "user")
        # Neighbouring samples start at neighbouring openings, so that a variant always differs.
        opening = OPENINGS[(digest64(str(request.seed)) + request.sample) % len(OPENINGS)]
        instruction = str(request.messages[-1]["content"])
        for domain, answer, slots in (("coding", code, CODE_SLOTS), ("planning", plan, PLAN_SLOTS)):
            if load(f"{domain}_clarify").user in instruction:
                return f"{opening.split()[0]} first: {question(said, slots, chance)}"
            if load(f"{domain}_execute").user in instruction:
                return f"{opening}\n\n{answer(said, chance)}"
        return f"{opening} ({chance.randrange(1000)})"

    async def close(self) -> None: ...


def found(said: str, slots: dict[str, str]) -> dict[str, str]:
    """What has been said about each slot; what was said last wins."""
    return {slot: hits[-1] for slot, pattern in slots.items() if (hits := re.findall(pattern, said))}


def question(said: str, slots: dict[str, str], chance: random.Random) -> str:
    """One question, or two, about what has not been said."""
    known = found(said, slots)
    unknown = [slot for slot in slots if slot not in known]
    if not unknown:
        return "Is there anything else that I should know?"
    chosen = unknown[: 1 + (chance.random() < 0.5)]
    return " ".join(QUESTIONS[slot] for slot in chosen)


def code(said: str, chance: random.Random) -> str:
    """A function made of what has been said, and of guesses."""
    known = found(said, CODE_SLOTS)
    if signature := re.search(r"\bdef (\w+)\(", said):
        known.setdefault("name", signature[1])
    operation = known.get("operation") or chance.choice(list(OPERATIONS))
    kept = known.get("filter") or chance.choice(list(FILTERS))
    empty = known.get("empty") or chance.choice(EMPTY)
    argument = chance.choice(("numbers", "values", "items"))
    written = FILTERS[kept].replace("> 0", ">= 0") if chance.random() < MISTAKES else FILTERS[kept]
    body = OPERATIONS[operation] + (" + 1" if chance.random() < MISTAKES else "")
    name = known.get("name", "solve")
    return _WRITTEN.format(name=name, argument=argument, filter=written, empty=empty, operation=body)


def plan(said: str, chance: random.Random) -> str:
    """A numbered plan that holds the values that have been said."""
    known = found(said, PLAN_SLOTS)
    people = known.get("people") or str(chance.choice((5, 10, 20, 40)))
    budget = known.get("budget") or str(chance.choice((100, 200, 500, 1000)))
    steps = [
        f"Book a room that is large enough for {people} people.",
        f"Split the money so that the whole cost stays under the budget of {budget} euros.",
        "Send the invitations two weeks before, and ask for replies.",
    ]
    if "date" in known:
        steps.insert(0, f"Reserve the day: everything takes place on {known['date']}.")
    if chance.random() < MISTAKES:
        steps.pop()
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))


def instance(schema: dict[str, Any], definitions: dict[str, Any], chance: random.Random) -> Any:
    """A value that fits a JSON schema of the kind that pydantic makes."""
    if "$ref" in schema:
        return instance(definitions[schema["$ref"].rpartition("/")[2]], definitions, chance)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return chance.choice(schema["enum"])
    if "anyOf" in schema:
        return instance(schema["anyOf"][0], definitions, chance)
    kind = schema.get("type")
    if kind == "object":
        return {name: instance(part, definitions, chance) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        if names := _dealt(schema, definitions):
            item, (field, choices) = schema["items"], names
            return [{**instance(item, definitions, chance), field: choice} for choice in choices]
        return [instance(schema.get("items", {}), definitions, chance) for _ in range(schema.get("minItems", 0))]
    if kind == "boolean":
        return chance.random() < 0.5
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 1)
        value = low + (high - low) * chance.random()
        return round(value) if kind == "integer" else round(value, 3)
    return "synthetic"


def _dealt(schema: dict[str, Any], definitions: dict[str, Any]) -> tuple[str, list[str]] | None:
    """The field whose choices are as many as the items of the array: each item has to take another one."""
    item = schema.get("items", {})
    item = definitions[item["$ref"].rpartition("/")[2]] if "$ref" in item else item
    for name, part in item.get("properties", {}).items():
        choices = part.get("enum", [part["const"]] if "const" in part else [])
        if choices and len(choices) == schema.get("minItems") == schema.get("maxItems"):
            return name, choices
    return None
