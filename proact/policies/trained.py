"""A policy that proact has trained: it compares the chances of the two words after the rendered state."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from proact.errors import ModelError, UsageError
from proact.llm import causal, learned, likelihood, local
from proact.policies.base import Decision
from proact.records import State, Usage
from proact.render import action_prompt
from proact.training import gguf
from proact.training.manifest import WORDS, read

ROWS = 8
"""States that are scored at once."""
Chance = float | ModelError
Scorer = Callable[[Sequence[str]], Sequence[Sequence[float]]]


class Batch:
    """States that are scored together, and the task that does it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.task: asyncio.Task[list[Chance]] | None = None


class Trained:
    """Loaded at the first decision; states that are decided at the same moment are scored in one batch.

    The probability of asking is the softmax of the mean log-probabilities per token of both words.
    """

    def __init__(self, where: str) -> None:
        """Raises UsageError when there is no trained policy, or one that does not fit its base or this proact."""
        self.name = f"trained:{where}"
        path = Path(where)
        self._path = path
        self.manifest = gguf.manifest(path) if path.suffix == ".gguf" else read(path)
        if self.manifest.target != "action":
            raise UsageError(f"{where}: was trained on texts (--target text); as a chat model it is hf:{where}")
        self.weights = self.manifest.weights
        self._families = frozenset(self.manifest.families["train"])
        self._scorer: Scorer | None = None
        self._known: dict[str, tuple[Batch, int]] = {}
        self._open: Batch | None = None
        self._turn = asyncio.Lock()

    async def p_clarify(self, decision: Decision) -> tuple[float, Usage]:
        seen = State(**decision.state.visible())
        text = action_prompt(seen, decision.persona.profile, decision.messages)
        if text not in self._known:
            if self._open is None or len(self._open.texts) == ROWS:
                self._open = Batch()
                self._open.task = asyncio.create_task(self._scored(self._open))
            self._known[text] = self._open, len(self._open.texts)
            self._open.texts.append(text)
        batch, place = self._known[text]
        assert batch.task is not None
        chance = (await asyncio.shield(batch.task))[place]
        if isinstance(chance, ModelError):
            raise chance
        return chance, Usage()

    def trained_on(self, state: State) -> bool:
        """Whether the policy has learned from this state or its family."""
        return (state.family or state.id) in self._families

    async def _scored(self, batch: Batch) -> list[Chance]:
        """The probabilities of a batch; while another one is at work, more states join it."""
        async with self._turn:
            if self._open is batch:
                self._open = None
            return await asyncio.to_thread(self._score, batch.texts)

    def _score(self, prompts: Sequence[str]) -> list[Chance]:
        if self._scorer is None:
            self._scorer = self._load()
        try:
            return [1 / (1 + math.exp(execute - clarify)) for clarify, execute in self._scorer(prompts)]
        except ModelError as error:
            # One state that cannot be read must not take its neighbours with it.
            return [error] if len(prompts) == 1 else [chance for one in prompts for chance in self._score([one])]

    def _load(self) -> Scorer:
        if self._path.suffix == ".gguf":
            engine = local.engine(self._path)
            spelled = [self.manifest.spelling[action] for action in ("Clarify", "Execute")]
            return lambda prompts: [engine.log_probs(prompt, spelled) for prompt in prompts]
        loaded = learned.load(self._path, self.manifest, causal.reader)
        return likelihood.Chances(loaded, (WORDS["Clarify"], WORDS["Execute"]))
