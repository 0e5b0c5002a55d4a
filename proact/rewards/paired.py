"""A whole file of preference pairs, and what stands beside it: why other groups have none, and what is always best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import msgspec

from proact.records import PreferencePair
from proact.rewards.constant import Constancy
from proact.rewards.decisions import decisions
from proact.rewards.pairs import Mode, Pairs, Row, kept
from proact.rewards.specs import Spec


class Paired:
    """Pairs of all groups of a file under one spec."""

    def __init__(self, spec: Spec, mode: Mode = "weighted", *, thin: bool, seed: int) -> None:
        self.spec, self.mode, self.seed = spec, mode, seed
        self.thin = mode == "weighted" and thin
        self.constancy = Constancy()
        self.chosen: Counter[str] = Counter()
        self._pairs = Pairs(mode, spec.label)
        self._largest = 0.0

    def write(self, rows: Iterable[Row], file: BinaryIO) -> None:
        """The pairs of rows that come group by group."""
        # Thinning needs the largest margin of the file, which is known only after the last pair.
        with TemporaryFile() as spool:
            for pair in self._built(rows):
                spool.write(msgspec.json.encode(pair) + b"\n")
            spool.seek(0)
            file.writelines(self._thinned(spool))

    @property
    def reasons(self) -> dict[str, int]:
        """How many groups have no pair, by why."""
        return dict(sorted(self._pairs.reasons.items()))

    def meta(self) -> dict[str, Any]:
        """What `explain` and `train` read beside the file."""
        return {
            "spec": msgspec.to_builtins(self.spec),
            "pairs": self.mode,
            "thinned": self.thin,
            "seed": self.seed,
            "groups_without_pair": dict(sorted(self._pairs.without.items())),
            "reasons": self.reasons,
            "constant_policy": self.constancy.action,
        }

    def _built(self, rows: Iterable[Row]) -> Iterator[PreferencePair]:
        for _, group in groupby(rows, key=lambda row: row.trajectory.group):
            together = list(group)
            for decision in decisions(together, self.spec.w_task):
                self.constancy.add(decision)
            if pair := self._pairs.of(together):
                self._largest = max(self._largest, pair.margin)
                yield pair

    def _thinned(self, spool: Iterable[bytes]) -> Iterator[bytes]:
        for line in spool:
            pair = msgspec.json.decode(line, type=PreferencePair)
            final = kept(pair, self._largest, self.seed) if self.thin else pair
            if final is None:
                self._pairs.reasons["thinned"] += 1
                self._pairs.without[pair.group] = "thinned"
            else:
                self.chosen[final.chosen_action] += 1
                yield msgspec.json.encode(final) + b"\n"
