"""What a batch holds: both actions in proportion at like lengths, and of a completion what a policy will compare."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from proact.keys import keyed_random

WINDOW = 8
"""Batches whose rows are sorted by length together; more would put all short prompts side by side."""


def ordered(kinds: Sequence[str], lengths: Sequence[int], size: int, seed: int, epoch: int) -> list[int]:
    """A shuffled order of rows whose batches hold each kind in proportion, and rows of like length.

    All prompts have far more in common than what sets them apart. A batch that prefers one action by chance, or prefers
    it where prompts are long, moves what they have in common, and that noise hides what there is to learn. And rows of
    like length need little padding.
    """
    chance = keyed_random(seed, "", "", 0, epoch, "order of the pairs")
    rows = list(range(len(kinds)))
    chance.shuffle(rows)
    rows = _spread(rows, kinds)
    found: list[int] = []
    for start in range(0, len(rows), WINDOW * size):
        window = _spread(sorted(rows[start : start + WINDOW * size], key=lengths.__getitem__), kinds)
        whole = len(window) // size * size
        full = [window[place : place + size] for place in range(0, whole, size)]
        chance.shuffle(full)
        found += [row for batch in full for row in batch] + window[whole:]
    return found


def _spread(rows: Sequence[int], kinds: Sequence[str]) -> list[int]:
    """Rows such that every stretch holds each kind in proportion; the rows of a kind keep their order."""
    groups: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        groups[kinds[row]].append(row)
    place = {row: (rank + 0.5) / len(group) for group in groups.values() for rank, row in enumerate(group)}
    return sorted(rows, key=place.__getitem__)


def sampler(kinds: Sequence[str], lengths: Sequence[int], size: int, seed: int) -> Any:
    """The order of each epoch, as torch takes it."""
    from torch.utils.data import Sampler

    class Ordered(Sampler):  # type: ignore[misc]
        def __init__(self) -> None:
            self.epoch = 0

        def __len__(self) -> int:
            return len(kinds)

        def __iter__(self) -> Iterator[int]:
            return iter(ordered(kinds, lengths, size, seed, self.epoch))

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

    return Ordered()


def collator(pad: int, end: int | None) -> Any:
    """TRL's batches without the end-of-text token behind a completion, when `end` is given.

    It takes no part where two words are compared, but would take a share of what is learned.
    """
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    def stripped(ids: list[int]) -> list[int]:
        return ids[:-1] if ids[-1] == end else ids

    class Words(DataCollatorForPreference):  # type: ignore[misc]
        def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
            sides = ("chosen_ids", "rejected_ids")
            batch: dict[str, Any] = super().torch_call(
                [{**one, **{side: stripped(one[side]) for side in sides}} for one in examples]
            )
            return batch

    return Words(pad_token_id=pad)
