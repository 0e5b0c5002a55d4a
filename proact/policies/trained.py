"""A policy that proact has trained: it compares the chances of the two words after the rendered state."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from proact.errors import ProactError, UsageError
from proact.llm import hf, local
from proact.policies.base import Decision
from proact.records import State, Usage
from proact.render import action_prompt
from proact.training import gguf
from proact.training.manifest import WORDS, read

ROWS = 8
"""States that are scored at once."""
Scorer = Callable[[Sequence[str]], Sequence[Sequence[float]]]


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
        self._scorer: Scorer | None = None
        self._known: dict[str, asyncio.Future[float]] = {}
        self._waiting: list[str] = []
        self._worker: asyncio.Task[None] | None = None

    async def p_clarify(self, decision: Decision) -> tuple[float, Usage]:
        seen = State(**decision.state.visible())
        text = action_prompt(seen, decision.persona.profile, decision.messages)
        if text not in self._known:
            self._known[text] = asyncio.get_running_loop().create_future()
            self._waiting.append(text)
            if self._worker is None or self._worker.done():
                self._worker = asyncio.create_task(self._work())
        return await asyncio.shield(self._known[text]), Usage()

    def trained_on(self, state: State) -> bool:
        """Whether the policy has learned from this state or its family."""
        return (state.family or state.id) in self.manifest.families["train"]

    async def _work(self) -> None:
        while self._waiting:
            # Everybody who decides now joins the batch; neighbours in length waste little on padding.
            await asyncio.sleep(0)
            self._waiting.sort(key=len)
            batch, self._waiting = self._waiting[:ROWS], self._waiting[ROWS:]
            futures = [self._known[text] for text in batch]
            try:
                chances = await asyncio.to_thread(self._score, batch)
            except ProactError as error:
                for text, future in zip(batch, futures, strict=True):
                    future.set_exception(error)
                    del self._known[text]
            else:
                for future, chance in zip(futures, chances, strict=True):
                    future.set_result(chance)

    def _score(self, prompts: Sequence[str]) -> list[float]:
        if self._scorer is None:
            self._scorer = self._load()
        return [1 / (1 + math.exp(execute - clarify)) for clarify, execute in self._scorer(prompts)]

    def _load(self) -> Scorer:
        if self._path.suffix == ".gguf":
            engine = local.engine(self._path)
            spelled = [self.manifest.spelling[action] for action in ("Clarify", "Execute")]
            return lambda prompts: [engine.log_probs(prompt, spelled) for prompt in prompts]
        manifest = self.manifest
        loaded = hf.load(
            manifest.base if manifest.adapter else str(self._path), self._path if manifest.adapter else None
        )
        if manifest.adapter and hf.fingerprint(manifest.base, loaded.model) != manifest.base_fingerprint:
            raise UsageError(f"{self._path}: was trained on other weights than {manifest.base} has now")
        words = (WORDS["Clarify"], WORDS["Execute"])
        return lambda prompts: hf.log_probs(loaded, prompts, words)
