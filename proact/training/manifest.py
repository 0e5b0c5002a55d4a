"""What a trained policy says of itself: its base, its prompt, what it learned from, and how well."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypedDict

import msgspec

from proact import jsonl
from proact.errors import UsageError
from proact.keys import digest
from proact.llm import learned
from proact.records import State
from proact.render import action_prompt

FILE = learned.FILE
RUN = "run.json"
COURSE = "train.jsonl"
CURVES = "curves.png"
Target = Literal["action", "text"]
WORDS = {"Clarify": " Clarify", "Execute": " Execute"}
"""The completions that stand for the actions: existing words, so that no untrained token is added."""
_PROBE = State(id="probe", domain="coding", query="Sort <it>.", dialogue_turn=1, prev_reject=1, task_uncertainty=0.25)
_SAID = [{"role": "user", "content": "Sort <it>."}, {"role": "assistant", "content": "How?"}]


def renderer() -> str:
    """A hash of the prompt of a fixed state: a policy that was trained on other bytes must not be asked with these."""
    return digest(action_prompt(_PROBE, "A profile.", _SAID), WORDS)


class Families(TypedDict):
    """The families of the states that a training learned from, and of those that were held out."""

    train: list[str]
    eval: list[str]


class Manifest(learned.Weights, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`policy.json`, written last: a folder without it holds an unfinished training."""

    version: str
    target: Target
    renderer: str
    settings: dict[str, Any]
    data: dict[str, Any]
    families: Families
    spelling: dict[str, list[tuple[int, str]]] = {}
    """The tokens of each word, with the text of those before it; empty for texts."""
    metrics: dict[str, float | None]
    packages: dict[str, str]


def read(folder: Path) -> Manifest:
    """The manifest of a trained policy. Raises UsageError when there is none, or one of another renderer."""
    path = folder / FILE
    if not path.is_file():
        raise UsageError(f"{folder}: holds no trained policy (no {FILE}); an interrupted training goes on when rerun")
    return checked(path.read_bytes(), str(path))


def write(folder: Path, found: Manifest) -> None:
    with jsonl.replace(folder / FILE) as file:
        file.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


def checked(raw: bytes, where: str) -> Manifest:
    """A manifest as it stands in a file. Raises UsageError for a damaged one and for another renderer's."""
    found = learned.decoded(raw, Manifest, where)
    if found.target == "action" and not all(found.spelling.get(action) for action in WORDS):
        raise UsageError(f"{where}: is not the manifest of a trained policy: it does not spell {' and '.join(WORDS)}")
    if found.renderer != renderer():
        raise UsageError(
            f"{where}: was trained on states written in another way than this proact writes them; train again"
        )
    return found
