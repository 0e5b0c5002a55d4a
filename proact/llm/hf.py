"""Chat models of the transformers library in this process: `hf:NAME_OR_FOLDER`."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from proact.errors import UsageError
from proact.llm import learned
from proact.llm.base import Completion, Request
from proact.llm.causal import Loaded, arithmetic, content, context, fits, needed, quiet, reader

TEMPERATURE = 0.3


class HfModel:
    """A causal language model with a chat template, one request at a time; a server batches better."""

    def __init__(self, name: str) -> None:
        if not name:
            raise UsageError("hf: needs a name or a folder, as hf:outputs/policy")
        needed()
        # Replies are kept by endpoint: other weights in the same folder are another model.
        mark = f":{content(Path(name))}" if Path(name).is_dir() else ""
        self.name, self.endpoint = f"hf:{name}", f"hf{mark}"
        self._spec = name
        self._loaded: Loaded | None = None
        self._lock = threading.Lock()

    async def complete(self, request: Request) -> Completion:
        """Raises ModelError for a prompt that does not fit into the context."""
        stop = threading.Event()
        try:
            return await asyncio.to_thread(partial(self._reply, request, stop))
        finally:
            stop.set()

    async def close(self) -> None: ...

    def _reply(self, request: Request, stop: threading.Event) -> Completion:
        with self._lock:
            if self._loaded is None:
                self._loaded = chat_model(self._spec)
            return _generated(self._loaded, request, stop)


class Adapter(msgspec.Struct):
    """What an adapter that proact has not trained says of its base."""

    base_model_name_or_path: str


def chat_model(spec: str) -> Loaded:
    """A name, a folder of weights, or a folder with an adapter."""
    folder = Path(spec)
    if (path := folder / learned.FILE).is_file():
        return learned.load(folder, learned.decoded(path.read_bytes(), learned.Weights, str(path)), reader)
    if (path := folder / "adapter_config.json").is_file():
        try:
            return reader(msgspec.json.decode(path.read_bytes(), type=Adapter).base_model_name_or_path, folder)
        except msgspec.DecodeError as error:
            raise UsageError(f"{path}: is not the description of an adapter: {error}") from None
    return reader(spec)


def _prompt(tokenizer: Any, request: Request) -> str:
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise UsageError("this model has no chat template, so it cannot hold a conversation")
    try:
        return str(tokenizer.apply_chat_template(request.messages, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise UsageError(f"the chat template of this model takes no messages like these: {error}") from None


def _generated(loaded: Loaded, request: Request, stop: threading.Event) -> Completion:
    import torch
    from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

    model, tokenizer, where = loaded
    temperature = TEMPERATURE if request.temperature is None else request.temperature
    chance = torch.Generator(device="cpu").manual_seed(request.chance)

    class Gumbel(LogitsProcessor):  # type: ignore[misc]
        """Greedy choice after this is a draw at the temperature, by chance of the request's own."""

        def __call__(self, ids: Any, scores: Any) -> Any:
            noise = torch.rand(scores.shape, generator=chance).clamp(1e-20).log().neg().log().neg()
            return scores / temperature + noise.to(scores.device)

    class Stop(StoppingCriteria):  # type: ignore[misc]
        def __call__(self, ids: Any, scores: Any, **more: Any) -> bool:
            return stop.is_set()

    text = _prompt(tokenizer, request)
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]], device=where)
    fits(ids.shape[1] + 1, model)
    room = min(request.max_completion_tokens, context(model) - ids.shape[1])
    with quiet(), arithmetic(where):
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=room,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
            logits_processor=LogitsProcessorList([Gumbel()] if temperature else []),
            stopping_criteria=StoppingCriteriaList([Stop()]),
        )[0, ids.shape[1] :]
    ends = model.generation_config.eos_token_id
    ended = len(out) and int(out[-1]) in (ends if isinstance(ends, list) else [ends])
    return Completion(
        text=tokenizer.decode(out, skip_special_tokens=True).strip(),
        finish_reason="stop" if ended else "length",
        prompt_tokens=ids.shape[1],
        completion_tokens=len(out),
    )
