"""What a batch holds: both actions in proportion at like lengths, and of a completion what a policy will compare."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from proact.keys import keyed_random

ACTION = "action"
"""Column of a row: what its pair chose, whatever its text."""
DIALOGUE = "dialogue"
"""Column of a row: the same for turns of one dialogue."""
ASKS = "asks"
"""Part of a batch (pairs,): whether the pair chose to ask."""
REPLICATES = "replicates"
"""Column of a row, and part of a batch (pairs,): how often its pair was played."""
FORETOLD = "foretold"
"""Column of a row: the tokens of what its question is about, or none."""
WINDOW = 8
"""Batches whose rows are sorted by length together; more would put all short prompts side by side."""


def ordered(
    kinds: Sequence[str], lengths: Sequence[int], dialogues: Sequence[str], size: int, seed: int, epoch: int
) -> list[int]:
    """A shuffled order of rows whose batches hold each kind in proportion, whole dialogues, and rows of like length.

    All prompts have far more in common than what sets them apart. A batch that prefers one action by chance, or prefers
    it where prompts are long, moves what they have in common, and that noise hides what there is to learn. Rows of like
    length need little padding, and turns of a dialogue are read together.
    """
    chance = keyed_random(seed, "", "", 0, epoch, "order of the pairs")
    together: dict[str, list[int]] = defaultdict(list)
    for row, dialogue in enumerate(dialogues):
        together[dialogue].append(row)
    groups = list(together.values())
    chance.shuffle(groups)
    found: list[int] = []
    rest: list[int] = []
    for window in _windows(_spread(groups, kinds), WINDOW * size):
        near = _spread(sorted(window, key=lambda group: max(lengths[row] for row in group)), kinds)
        rows = [*rest, *(row for group in near for row in group)]
        whole = len(rows) // size * size
        full = [rows[place : place + size] for place in range(0, whole, size)]
        chance.shuffle(full)
        found += [row for batch in full for row in batch]
        rest = rows[whole:]
    return found + rest


def _windows(groups: Sequence[list[int]], rows: int) -> Iterator[list[list[int]]]:
    """The groups in stretches of so many rows, or a few more."""
    window: list[list[int]] = []
    for group in groups:
        window.append(group)
        if sum(map(len, window)) >= rows:
            yield window
            window = []
    if window:
        yield window


def _spread(groups: Sequence[list[int]], kinds: Sequence[str]) -> list[list[int]]:
    """Groups such that every stretch holds each kind of first row in proportion; those of a kind keep their order."""
    alike: dict[str, list[list[int]]] = defaultdict(list)
    for group in groups:
        alike[kinds[group[0]]].append(group)
    placed = [((rank + 0.5) / len(found), group) for found in alike.values() for rank, group in enumerate(found)]
    return [group for _, group in sorted(placed, key=itemgetter(0))]


def sampler(kinds: Sequence[str], lengths: Sequence[int], dialogues: Sequence[str], size: int, seed: int) -> Any:
    """The order of each epoch, as torch takes it."""
    from torch.utils.data import Sampler

    class Ordered(Sampler):  # type: ignore[misc]
        def __init__(self) -> None:
            self.epoch = 0

        def __len__(self) -> int:
            return len(kinds)

        def __iter__(self) -> Iterator[int]:
            return iter(ordered(kinds, lengths, dialogues, size, seed, self.epoch))

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

    return Ordered()


def collator(pad: int, end: int | None, *, which: bool = False) -> Any:
    """TRL's batches without the end-of-text token behind a completion, when `end` is given.

    It takes no part where two words are compared, but would take a share of what is learned. With `which`, a batch
    tells what its pairs chose and how often they were played, and below its chosen and rejected rows are those that end
    with what a question is about.
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    def stripped(ids: list[int]) -> list[int]:
        return ids[:-1] if ids[-1] == end else ids

    def further(rows: list[tuple[list[int], list[int]]], batch: dict[str, Any]) -> None:
        read = [torch.ones(len(prompt) + len(told), dtype=torch.long) for prompt, told in rows]
        learned = [torch.tensor([0] * len(prompt) + [1] * len(told)) for prompt, told in rows]
        ids = [torch.tensor(prompt + told) for prompt, told in rows]
        more = {"input_ids": (ids, pad), "attention_mask": (read, 0), "completion_mask": (learned, 0)}
        for name, (found, fill) in more.items():
            batch[name] = pad_sequence([*batch[name], *found], batch_first=True, padding_value=fill)

    class Words(DataCollatorForPreference):  # type: ignore[misc]
        def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
            sides = ("chosen_ids", "rejected_ids")
            batch: dict[str, Any] = super().torch_call(
                [{**one, **{side: stripped(one[side]) for side in sides}} for one in examples]
            )
            if which:
                batch[ASKS] = torch.tensor([one[ACTION] == "Clarify" for one in examples])
                batch[REPLICATES] = torch.tensor([float(one[REPLICATES]) for one in examples])
                further([(one["prompt_ids"], one[FORETOLD]) for one in examples if one[FORETOLD]], batch)
            return batch

    return Words(pad_token_id=pad)
