"""Language models: how one is named on the command line, and how it is opened behind the log and the limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from proact.cache import cache_dir
from proact.llm.base import ChatModel, Completion, Computed, Request, Sampling, ask
from proact.llm.calls import CallLog, Ledger, Logged
from proact.llm.limits import Limited, Limits, Policy
from proact.registry import Registry

__all__ = ["ChatModel", "Completion", "Models", "Options", "Request", "Sampling", "ask"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How models are reached and limited; nothing here names a model."""

    base_url: str | None = None
    timeout: float = 60.0
    concurrency: int = 32
    attempts: int = 3
    price: tuple[float, float] | None = None
    budget: float | None = None
    base_delay: float = 1.0
    api_key: str | None = None
    """For library users; no command sets it, so that it never reaches the settings of a task."""


SHIPPED = "local:smollm2"
MODELS: Registry[Callable[[str, Options], ChatModel]] = Registry("model")


@MODELS.register("openai")
def _openai(rest: str, options: Options) -> ChatModel:
    from proact.llm.openai import OpenAI

    return OpenAI(rest, base_url=options.base_url, timeout=options.timeout, api_key=options.api_key)


@MODELS.register("local")
def _local(rest: str, options: Options) -> ChatModel:
    from proact.llm.local import LocalModel

    return LocalModel(rest)


@MODELS.register("hf")
def _hf(rest: str, options: Options) -> ChatModel:
    from proact.llm.hf import HfModel

    return HfModel(rest)


@MODELS.register("synthetic")
def _synthetic(rest: str, options: Options) -> ChatModel:
    from proact.llm.synthetic import Synthetic

    return Synthetic(rest)


@MODELS.register("scripted")
def _scripted(rest: str, options: Options) -> ChatModel:
    from proact.llm.scripted import from_file

    return from_file(Path(rest))


class Models:
    """The models of one run: each is opened once, and all share one call log, one retry policy and one budget."""

    def __init__(self, options: Options, *, logged: bool = True) -> None:
        self.options, self._logged = options, logged
        self._log: CallLog | None = None
        self._opened: dict[str, ChatModel] = {}
        policy = Policy(
            concurrency=options.concurrency,
            attempts=options.attempts,
            base_delay=options.base_delay,
            price=options.price,
            budget=options.budget,
        )
        self._limits = Limits(policy)

    def open(self, spec: str) -> ChatModel:
        """The model of `kind:rest`; a bare name is an OpenAI one. Raises UsageError for an unknown kind."""
        kind, colon, rest = spec.partition(":")
        if not colon:
            kind, rest = "openai", spec
        elif kind not in MODELS and self.options.base_url:
            # Ollama and others put a colon into their names: llama3.2:1b.
            kind, rest = "openai", spec
        name = f"{kind}:{rest}"
        if name not in self._opened:
            model = MODELS[kind](rest, self.options)
            limited = Limited(model, self._limits)
            logged = self._logged and not isinstance(model, Computed)
            if logged and self._log is None:
                self._log = CallLog(cache_dir() / "calls.db")
            self._opened[name] = Logged(limited, self._log) if logged and self._log else limited
        return self._opened[name]

    @property
    def weights(self) -> dict[str, str]:
        """What files the opened models were read from, by name; those of one's own, which can change under a name."""
        own = {model.name: model.endpoint for model in self._opened.values() if model.name != SHIPPED}
        return {name: endpoint for name, endpoint in own.items() if endpoint.startswith(("local:", "hf:"))}

    @property
    def ledger(self) -> Ledger:
        return self._log.ledger if self._log else Ledger()

    def sync(self) -> str:
        return self._log.sync() if self._log else ""

    async def close(self) -> None:
        for model in self._opened.values():
            await model.close()
        if self._log:
            self._log.close()
