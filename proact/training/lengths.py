"""How long rows are, in tokens: which of them a model can read whole, and which are read together."""

from __future__ import annotations

from typing import Any

from proact.errors import UsageError
from proact.training.batches import DIALOGUE, FORETOLD

LENGTH = "length"
"""Column of a row: how many tokens it has."""


def fitting(tokenizer: Any, rows: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """The rows whose prompt and longer completion fit into `limit` tokens: a cut prompt is another state. Short ones
    come first, and dialogues together.

    Raises UsageError for a dialogue that the chat template of the base does not take.
    """
    measured = [{**row, LENGTH: _length(tokenizer, row)} for row in rows]
    fit = [row for row in measured if row[LENGTH] <= limit]
    for row in fit:
        # It stands behind the same prompt, and can be longer than what is chosen.
        if row[LENGTH] + len(row[FORETOLD]) > limit:
            row[FORETOLD] = []
    longest: dict[str, int] = {}
    for row in fit:
        longest[row[DIALOGUE]] = max(row[LENGTH], longest.get(row[DIALOGUE], 0))
    return sorted(fit, key=lambda row: (longest[row[DIALOGUE]], row[DIALOGUE], row[LENGTH]))


def _length(tokenizer: Any, row: dict[str, Any]) -> int:
    if isinstance(row["prompt"], str):
        return max(len(tokenizer(row["prompt"] + row[side])["input_ids"]) + 1 for side in ("chosen", "rejected"))
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise UsageError("--target text: the base has no chat template, so it cannot hold a conversation")
    sides = (row["prompt"] + row[side] for side in ("chosen", "rejected"))
    try:
        texts = [tokenizer.apply_chat_template(said, tokenize=False) for said in sides]
    except TemplateError as error:
        raise UsageError(f"--target text: the chat template refuses the dialogue of {row[DIALOGUE]}: {error}") from None
    return max(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
