"""Preference pairs as what a trainer reads, split so that no family of states stands on both sides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proact import jsonl
from proact.errors import UsageError
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


def read(path: Path) -> list[PreferencePair]:
    """All pairs of a file. Raises InputError for a bad line, UsageError for a file without pairs."""
    pairs = list(jsonl.read(path, PreferencePair))
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
        said = {word for message in pair.prompt for word in _words(str(message["content"]))}
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

    The files may hold states, trajectories or pairs.
    """
    known: set[tuple[str, str]] = set()
    for pair in train:
        known |= _marks(pair.state_id, str(pair.state.get("query")), pair.family)
    for file in files:
        for line in jsonl.lines(file):
            record = jsonl.decode_object(line, file)
            inner = record.get("state")
            state = inner if isinstance(inner, dict) else record
            name = record.get("state_id") or state.get("id")
            marks = _marks(name, state.get("query"), record.get("family") or state.get("family"))
            if shared := sorted(known & marks):
                kind, value = shared[0]
                shown = value if len(value) <= 60 else f"{value[:59]}…"
                raise UsageError(f"{file}:{line.number}: is also in the training pairs (same {kind}: {shown})")


def _marks(name: Any, query: Any, kind: Any) -> set[tuple[str, str]]:
    found = (("state", name), ("request", query), ("family", kind))
    return {(mark, " ".join(value.split())) for mark, value in found if isinstance(value, str) and value}
