"""Preference pairs as what a trainer reads, split so that no family of states stands on both sides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proact import jsonl
from proact.errors import InputError, UsageError
from proact.keys import digest64, keyed_random
from proact.records import PreferencePair, State
from proact.render import action_prompt
from proact.training import batches, rewarded
from proact.training.manifest import WORDS, Families, Target

ONCE = 0.9
"""The share of the pairs that come at most once when pairs are drawn by weight."""


class Split(NamedTuple):
    """Pairs to learn from and pairs to measure on, with the families of each."""

    train: list[PreferencePair]
    held_out: list[PreferencePair]
    families: Families


def read(path: Path, *, by_reward: bool = False) -> list[PreferencePair]:
    """All pairs of a file, with what both actions earned when they are learned from `by_reward`.

    Raises InputError for a bad line or an id that is there twice, UsageError for a file without pairs.
    """
    pairs = []
    seen: dict[str, int] = {}
    for line in jsonl.lines(path):
        pair = jsonl.decode(line, PreferencePair, path)
        if seen.setdefault(pair.id, line.number) != line.number:
            raise InputError(path, f"{pair.id!r} is already on line {seen[pair.id]}", line=line.number, field="id")
        if by_reward and None in (pair.rewards.chosen, pair.rewards.rejected):
            raise InputError(path, "--loss reward needs both numbers", line=line.number, field="rewards")
        pairs.append(pair)
    if not pairs:
        raise UsageError(f"{path}: holds no preference pair, so there is nothing to learn")
    return pairs


def family(pair: PreferencePair) -> str:
    return pair.family or pair.state_id


def split(pairs: Sequence[PreferencePair], fraction: float, seed: int) -> Split:
    """Hold out this share of the families, drawn by seed and name, so that more data leaves a family where it was.

    Raises UsageError when that leaves nothing to learn from.
    """
    names = sorted({family(pair) for pair in pairs})
    drawn = {name: digest64(f"{seed} {name}") / 2**64 for name in names}
    aside = {name for name in names if drawn[name] < fraction}
    if fraction and not aside and len(names) > 1:
        aside = {min(names, key=drawn.__getitem__)}
    train = [pair for pair in pairs if family(pair) not in aside]
    if not train:
        raise UsageError(f"--eval-fraction {fraction:g} holds out every family of states ({len(names)})")
    held_out = [pair for pair in pairs if family(pair) in aside]
    return Split(train, held_out, {"train": [name for name in names if name not in aside], "eval": sorted(aside)})


def row(pair: PreferencePair, target: Target) -> dict[str, Any]:
    """One example in TRL's columns: the rendered state and a word, or the conversation as it stands in the file."""
    if target == "text":
        return {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}
    return {
        "prompt": action_prompt(State(**pair.state), pair.profile, pair.prompt),
        "chosen": WORDS[pair.chosen_action],
        "rejected": WORDS[pair.rejected_action],
    }


def facts(pair: PreferencePair) -> dict[str, Any]:
    """The columns beside the text; nothing is foretold yet."""
    earned = zip(rewarded.REWARDS, (pair.rewards.chosen, pair.rewards.rejected), strict=True)
    dialogue = f"{pair.state_id} {pair.persona} {pair.seed}"
    said = {batches.ACTION: pair.chosen_action, batches.REPLICATES: pair.replicates}
    return {**said, batches.DIALOGUE: dialogue, batches.FORETOLD: [], **dict(earned)}


def subjects(pairs: Sequence[PreferencePair]) -> list[str]:
    """What each pair's question is about: of its words that the dialogue has too the one in the fewest questions, or
    nothing."""
    questions = [_words(pair.chosen_text if pair.chosen_action == "Clarify" else pair.rejected_text) for pair in pairs]
    common = Counter(word for words in questions for word in words)
    found = []
    for pair, words in zip(pairs, questions, strict=True):
        said = {word for message in pair.prompt for word in _words(str(message.get("content") or ""))}
        about = min((word for word in words if word in said), key=common.__getitem__, default="")
        found.append(words.get(about, ""))
    return found


def _words(text: str) -> dict[str, str]:
    """The words of a text in small letters, in their order, each as it is spelt there first."""
    found: dict[str, str] = {}
    for word in re.findall(r"\w+", text):
        found.setdefault(word.lower(), word)
    return found


def drawn(pairs: Sequence[PreferencePair], seed: int) -> list[PreferencePair]:
    """Each pair as often as it weighs, in the mean over seeds, so that afterwards all weigh the same.

    What one weighs that comes once is the weight that a tenth of the pairs exceed. Thinning by the largest weight keeps
    the same proportions, but an outlier then costs most of the pairs. Raises UsageError when no pair weighs anything.
    """
    weights = sorted(pair.weight for pair in pairs if pair.weight > 0)
    if not weights:
        raise UsageError("every pair has the weight 0, so there is nothing to learn")
    unit = weights[int(ONCE * len(weights))]
    found: list[PreferencePair] = []
    for pair in pairs:
        purpose = f"draw {pair.method} {pair.seed}"
        chance = keyed_random(seed, pair.state_id, pair.persona, pair.turn, 0, purpose).random()
        found += [msgspec.structs.replace(pair, weight=1.0)] * int(pair.weight / unit + chance)
    return found


def leaks(train: Iterable[PreferencePair], files: Iterable[Path]) -> None:
    """Raises UsageError when a file that is meant for evaluation holds a state, a request or a family of the training.

    The files may hold states, trajectories, pairs, conversation logs, rows that `export` writes, or problems with a
    `text`. Raises InputError for a line that has none of the three, and for a file without lines.
    """
    known: set[tuple[str, str]] = set()
    for pair in train:
        known |= marks({"state": pair.state, "state_id": pair.state_id, "family": pair.family, "prompt": pair.prompt})
    for file in files:
        empty = True
        for line in jsonl.lines(file):
            empty = False
            found = marks(jsonl.decode_object(line, file))
            if not found:
                message = "has no state_id, request or family, so it cannot be compared with the training pairs"
                raise InputError(file, message, line=line.number)
            if same := shared(known, found):
                raise UsageError(f"{file}:{line.number}: is also in the training pairs ({same})")
        if empty:
            raise InputError(file, "is empty, so there is nothing to compare the training pairs with")


def shared(some: set[tuple[str, str]], others: set[tuple[str, str]]) -> str:
    """One of the marks that both have, in words; empty when there is none."""
    for kind, value in sorted(some & others)[:1]:
        return f"same {kind}: {value if len(value) <= 60 else f'{value[:59]}…'}"
    return ""


def marks(fields: dict[str, Any]) -> set[tuple[str, str]]:
    """What a state, or a line that holds one, is known by on both sides of a split."""
    inner = fields.get("state")
    state = inner if isinstance(inner, dict) else fields
    requests = [state.get("query"), fields.get("problem"), fields.get("text")]
    requests += [_asked(fields.get(name)) for name in ("prompt", "messages", "turns")]
    # Without a request it is the id of something else.
    name = fields.get("state_id") or ("query" in state and state.get("id"))
    found = [("state", name), ("family", fields.get("family") or state.get("family"))]
    found += [("request", request) for request in requests]
    plain = {(mark, " ".join(value.split())) for mark, value in found if isinstance(value, str) and value.strip()}
    # A rendered text has no tags but its own.
    return {(mark, value.replace("&lt;", "<")) for mark, value in plain}


def _asked(dialogue: Any) -> Any:
    """The first thing that the user says, in messages or where they are rendered; another text is itself a request."""
    if isinstance(dialogue, list):
        said = (message for message in dialogue if isinstance(message, dict) and message.get("role") == "user")
        return next(said, {}).get("content")
    rendered = re.search(r"<user>\n(.*?)\n</user>", dialogue, re.DOTALL) if isinstance(dialogue, str) else None
    return rendered[1] if rendered else dialogue
