"""A language model in this process: SmolLM2 or any GGUF file, on the CPU, through xllamacpp.

Calls never block the event loop. With one request at a time a reply depends on the request alone; requests that
overlap are computed in one batch, whose rounding can tip a close choice.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from proact.errors import ModelError, TransientError, UsageError
from proact.llm import weights
from proact.llm.base import Completion, Request

SLOTS = 4
CONTEXT = 2048
THREADS = 2
TEMPERATURE = 0.3
FORCED = 1000.0
Spelling = Sequence[tuple[int, str]]
"""A word as its tokens, each with the text of those before it."""


class LocalModel:
    """The chat model `local:smollm2` or `local:FILE.gguf`. Raises UsageError when engine or weights are missing."""

    def __init__(self, which: str) -> None:
        file = weights.path(which)
        if importlib.util.find_spec("xllamacpp") is None:
            raise UsageError(f"local:{which} needs the embedded engine: pip install 'proact[local]'")
        mark = weights.fingerprint(file)
        self.name = f"local:{which}"
        self.endpoint = f"local:{mark}"
        self._engine = _shared(file, mark)

    async def complete(self, request: Request) -> Completion:
        """Raises ModelError when the prompt does not fit or the engine refuses it, TransientError when it is busy."""
        stop = threading.Event()
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._engine.pool, self._engine.reply, request, stop)
        finally:
            # A thread cannot be cancelled: it sees this at its next token, so that an interrupted process can end.
            stop.set()

    async def close(self) -> None:
        """Nothing to do: the weights are freed with the last model that uses them."""


class Engine:
    """One set of weights in memory, loaded at the first request and shared by every model that names it."""

    def __init__(self, file: Path) -> None:
        self.pool = ThreadPoolExecutor(SLOTS, thread_name_prefix="proact-local")
        self._file = file
        self._lock = threading.Lock()
        self._server: Any = None

    def reply(self, request: Request, stop: threading.Event) -> Completion:
        """One chat completion, in the calling thread, given up at the first token after `stop` is set."""
        server = self._loaded()
        chunks: list[dict[str, Any]] = []

        def receive(chunk: dict[str, Any]) -> bool:
            chunks.append(chunk)
            return stop.is_set()

        try:
            server.handle_chat_completions(_body(request), receive)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"the embedded model refused the request: {error}") from error
        return _completion(chunks)

    def log_probs(self, prompt: str, words: Sequence[Spelling]) -> list[float]:
        """Mean log-probability per token of each word after a prompt. Raises ModelError when the engine refuses."""
        server = self._loaded()
        return [sum(_chance(server, prompt + before, token) for token, before in word) / len(word) for word in words]

    def _loaded(self) -> Any:
        with self._lock:
            if self._server is None:
                self._server = _server(self._file)
            return self._server


_engines: WeakValueDictionary[str, Engine] = WeakValueDictionary()
_engines_lock = threading.Lock()


def _shared(file: Path, mark: str) -> Engine:
    # Two copies would compete for the same cores, which costs far more than the memory.
    with _engines_lock:
        engine = _engines.get(mark) or Engine(file)
        _engines[mark] = engine
        return engine


def engine(file: Path) -> Engine:
    """The engine for a GGUF file. Raises UsageError when the file or the engine is missing."""
    weights.path(str(file))
    if importlib.util.find_spec("xllamacpp") is None:
        raise UsageError(f"{file} needs the embedded engine: pip install 'proact[local]'")
    return _shared(file, weights.fingerprint(file))


def _server(file: Path) -> Any:
    # Read once, when the engine is imported. Threads that spin while they wait bring a busy machine to a standstill.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        raise UsageError(f"the embedded engine does not run here: {error}") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.model_alias = {file.stem}
    params.n_ctx = CONTEXT * SLOTS
    params.n_parallel = SLOTS
    params.n_gpu_layers = 0
    params.fit_params = False
    params.cache_ram_mib = 0
    params.warmup = False
    params.verbosity = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = min(THREADS, _cores())
    params.n_threads_http = 1
    # The engine always opens a port on the loopback interface; nobody knows this key.
    params.api_keys = [secrets.token_hex(16)]
    try:
        return xllamacpp.Server(params)
    except RuntimeError:
        raise UsageError(
            f"{file}: the embedded engine cannot load it: damaged, or of a kind it does not know"
        ) from None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _body(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {
        "messages": request.messages,
        "temperature": TEMPERATURE if request.temperature is None else request.temperature,
        "max_tokens": request.max_completion_tokens,
        "seed": request.chance,
        # A prefix computed for an earlier request rounds differently, and the reply would depend on it.
        "cache_prompt": False,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": request.schema}}
    return body


def _chance(server: Any, prompt: str, token: int) -> float:
    """The log-probability of one token, by making the engine choose it: it reports the chance from before the bias."""
    body = {"prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": 1, "logit_bias": [[token, FORCED]]}
    try:
        reply = server.handle_completions(body)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"the embedded model refused the prompt: {error}") from error
    if "error" in reply:
        raise _refusal(reply["error"])
    chosen = reply["choices"][0]["logprobs"]["content"][0]
    if chosen["id"] != token:
        raise ModelError(f"the embedded model chose token {chosen['id']} where {token} was due")
    return float(chosen["logprob"])


def _completion(chunks: list[dict[str, Any]]) -> Completion:
    text: list[str] = []
    finish = ""
    usage: dict[str, int] = {}
    for chunk in chunks:
        if error := chunk.get("error"):
            raise _refusal(error)
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices", []):
            text.append(choice["delta"].get("content") or "")
            finish = choice.get("finish_reason") or finish
    if not finish:
        raise TransientError("the embedded model stopped before the end of its reply")
    return Completion(
        text="".join(text),
        finish_reason=finish,
        prompt_tokens=usage.get("prompt_tokens", 0),
        completion_tokens=usage.get("completion_tokens", 0),
    )


def _refusal(error: dict[str, Any]) -> ModelError:
    if error.get("type") == "exceed_context_size_error":
        return ModelError(
            f"the prompt has {error['n_prompt_tokens']} tokens, the embedded model holds {error['n_ctx']}"
            " for prompt and reply together"
        )
    kind = TransientError if error.get("code", 500) >= 500 else ModelError
    return kind(f"the embedded model failed: {error.get('message', error)}")
