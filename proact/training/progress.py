"""The course of a training: a line per step logged, a picture of it, and a progress bar."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from proact import console, jsonl

TRAIN = {"loss": "loss", "rewards/margins": "margin", "rewards/accuracies": "accuracy", "learning_rate": "lr"}
EVAL = {"eval_loss": "eval_loss", "eval_rewards/margins": "eval_margin", "eval_rewards/accuracies": "eval_accuracy"}
ROUNDED = 6


class Course:
    """`train.jsonl` in the making. It is locked, so that no two trainings write into one folder."""

    def __init__(self, path: Path, *, shown: bool = True) -> None:
        self._file = jsonl.Appender(path)
        self._shown = shown
        self._path = path
        self.rows: list[dict[str, Any]] = []
        self._bar: console.Progress | None = None
        self._shows = ""
        self._steps = self._at = 0

    def resume(self, step: int) -> None:
        """Forget what was logged after the checkpoint of this step."""
        size = 0
        for line in jsonl.lines(self._path):
            if not line.whole or (row := jsonl.decode_object(line, self._path))["step"] > step:
                break
            self.rows.append(row)
            size = line.end
        self._file.truncate(size)

    def read(self, pairs: int, of: int) -> None:
        """So many more pairs were read before the first step, which takes minutes when there are thousands."""
        self._show("read", of, "pair").done(pairs)

    def begin(self, steps: int, done: int) -> None:
        self._steps, self._at = steps, done
        self._show("train", steps, "step", done)

    def reached(self, step: int) -> None:
        self._show("train", self._steps, "step", self._at).done(step - self._at)
        self._at = step

    def measured(self, of: int) -> None:
        """One more batch was measured, of so many batches of pairs held out."""
        self._show("measure", of, "batch").done()

    def _show(self, what: str, total: int, unit: str, done: int = 0) -> console.Progress:
        if self._bar is None or self._shows != what:
            if self._bar:
                self._bar.close()
            self._bar = console.Progress(what, total, unit=unit, begun=done, shown=self._shown)
            self._shows = what
        return self._bar

    def log(self, step: int, epoch: float, values: dict[str, Any]) -> None:
        """Note what the trainer reports; anything but the figures of this page is left to --report-to."""
        known = {**TRAIN, **EVAL}
        found = {known[name]: round(float(value), ROUNDED) for name, value in values.items() if name in known}
        if not found:
            return
        row = {"step": step, "epoch": round(epoch, 4), **found}
        self.rows.append(row)
        self._file.write(msgspec.json.encode(row) + b"\n")
        if self._bar and self._shows == "train" and "loss" in found:
            self._bar.extra(", ".join(f"{name} {found[name]:.3g}" for name in ("loss", "margin", "accuracy")))

    def last(self, name: str) -> float | None:
        """The newest value of a figure, None when there is none or when it is no number."""
        value = next((row[name] for row in reversed(self.rows) if name in row), None)
        return value if isinstance(value, float) and math.isfinite(value) else None

    def close(self) -> None:
        if self._bar:
            self._bar.close()
        # A training that was refused leaves nothing.
        self._file.close(keep_empty=False)
