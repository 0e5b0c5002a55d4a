"""Models of the transformers library in memory: how they are found and loaded."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from proact.errors import ModelError, UsageError
from proact.keys import digest
from proact.llm import weights

PACKAGES = ("torch", "transformers")
ADAPTER = "adapter_model.safetensors"
UNLIMITED = 1 << 30
"""Tokens that a model without a table of positions takes."""
TRIM, MAPPED = (-1, (1 << 31) - 1), (-3, 32 << 20)
"""Of glibc's mallopt: how many bytes it may keep, and from which size on it asks the kernel each time; both the largest
that it takes."""
SILENT = {"TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}


class Loaded(NamedTuple):
    """A model in memory with its tokenizer."""

    model: Any
    tokenizer: Any
    device: str


def needed(*packages: str) -> None:
    """Raises UsageError when the packages of the extra `train` are not here."""
    # Read once, when torch is imported. Threads that spin while they wait bring a busy machine to a standstill.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    _keep_memory()
    if missing := [name for name in (*PACKAGES, *packages) if importlib.util.find_spec(name) is None]:
        raise UsageError(f"{', '.join(missing)} not installed: pip install 'proact[train]' (or make install-train)")


def _keep_memory() -> None:
    """Each pass through a model asks for the memory that the last one gave back: have the kernel clear it only once."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(*TRIM)
        mallopt(*MAPPED)


def source(spec: str) -> str:
    """What transformers loads for `local:smollm2`, `local:FILE.gguf`, `hf:NAME_OR_FOLDER`, a name or a folder."""
    kind, colon, rest = spec.partition(":")
    if colon and kind == "local":
        from proact.llm.rebuilt import rebuilt

        return str(rebuilt(weights.path(rest)))
    return rest if colon and kind == "hf" else spec


def fingerprint(spec: str, model: Any) -> str:
    """A short name for the weights behind a spec: their content where they lie here, else the commit of the hub."""
    return here(spec) or str(getattr(model.config, "_commit_hash", "") or "")


def here(spec: str) -> str | None:
    """A short name for the content of weights that lie here, None for those of the hub."""
    kind, colon, rest = spec.partition(":")
    if colon and kind == "local":
        return weights.fingerprint(weights.path(rest))
    folder = Path(source(spec))
    return content(folder) if folder.is_dir() else None


def content(folder: Path) -> str:
    """A short name for all weights in a folder that a model or an adapter is loaded from."""
    files = sorted(folder.glob("*.safetensors"))
    # transformers reads these only where a model has no others.
    if not any(file.name.startswith("model") for file in files):
        files += sorted(folder.glob("pytorch_model*.bin"))
    return digest([(file.name, weights.fingerprint(file)) for file in files])


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def short_floats() -> bool:
    """Whether this processor multiplies bfloat16 natively; where it does not, they are slower than 32 bits."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def arithmetic(where: str) -> Iterator[None]:
    """The precision of a forward pass: bfloat16 products of 32-bit weights where the processor has them."""
    import torch

    with torch.inference_mode(), torch.autocast(where, dtype=torch.bfloat16, enabled=short_floats()):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and deprecation notes of the libraries, which tell a user nothing."""
    from transformers.utils import logging

    level, before = logging.get_verbosity(), {name: os.environ.get(name) for name in SILENT}
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    os.environ.update(SILENT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def unreadable() -> tuple[type[Exception], ...]:
    """What the libraries raise for weights that are damaged, or are not those that their configuration describes."""
    from pickle import UnpicklingError

    from safetensors import SafetensorError

    damaged = (struct.error, EOFError, UnpicklingError, SafetensorError)
    return OSError, ValueError, LookupError, RuntimeError, *damaged


def opened(spec: str, **how: Any) -> tuple[Any, Any]:
    """A model, loaded as `how` says, and its tokenizer. Raises UsageError for an adapter, and for what is damaged."""
    needed()
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import find_adapter_config_file

    name = source(spec)
    with quiet():
        try:
            if find_adapter_config_file(name):
                # transformers would put it on its base by itself, and another adapter would take its place.
                raise UsageError(f"{spec}: is an adapter, no model; go on from it with --model BASE --start {spec}")
            tokenizer = AutoTokenizer.from_pretrained(name)
            model, read = AutoModelForCausalLM.from_pretrained(name, output_loading_info=True, **how)
        except unreadable() as error:
            raise UsageError(f"{spec}: cannot be loaded: {first_line(error)}") from None
    if missing := sorted(read["missing_keys"]):
        # transformers draws them at random.
        raise UsageError(f"{spec}: lacks {len(missing)} of the weights that its configuration names, as {missing[0]}")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def load(spec: str, adapter: Path | None = None, depth: int | None = None) -> Loaded:
    """A model ready to answer, of its first `depth` layers, with an adapter merged into it.

    Raises UsageError when it cannot be loaded.
    """
    needed(*(["peft"] if adapter else []))
    import torch

    where = device()
    model, tokenizer = opened(spec, dtype=torch.bfloat16 if where == "cuda" and short_floats() else torch.float32)
    if depth is not None:
        cut(spec, model, depth)
    if adapter:
        with quiet():
            model = merged(model, adapter)
    return Loaded(model.to(where).eval(), tokenizer, where)


def reader(spec: str, adapter: Path | None = None, depth: int | None = None) -> Loaded:
    """A model as `load` gives it, but only to read and write with: what a CPU multiplies in bfloat16 is kept in it.

    Under `arithmetic` it gives the same numbers, and no pass converts all the weights anew.
    """
    import torch

    loaded = load(spec, adapter, depth)
    if loaded.device == "cpu" and short_floats():
        for part in loaded.model.modules():
            if isinstance(part, torch.nn.Linear):
                # A head shares its weights with the embeddings, whose 32 bits are added as they are.
                for name, weight in list(part.named_parameters(recurse=False)):
                    setattr(part, name, torch.nn.Parameter(weight.detach().bfloat16(), requires_grad=False))
    return loaded


def layers(model: Any) -> int:
    """How many layers a model has, one above the other."""
    return int(model.config.get_text_config().num_hidden_layers)


def stacked(backbone: Any) -> bool:
    """Whether a backbone is a plain stack: embeddings, `layers`, one `norm`."""
    return all(hasattr(backbone, name) for name in ("embed_tokens", "layers", "norm"))


def plain(model: Any) -> bool:
    """Whether every layer attends to everything that precedes."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    return not getattr(config, "sliding_window", None) and kinds <= {"full_attention"}


def cut(spec: str, model: Any, depth: int) -> None:
    """Leave the first `depth` layers of a model. Raises UsageError for one that has fewer, or is no plain stack.

    What a text says is easiest to read from the middle of a model; the layers above turn it into the next word (Skean
    et al. 2025, arXiv 2502.02013), and many can go (Gromov et al. 2024, arXiv 2403.17887).
    """
    backbone, config = model.base_model, model.config.get_text_config()
    if depth == layers(model):
        return
    if depth > layers(model) or not stacked(backbone):
        raise UsageError(f"--depth {depth}: {spec} has {layers(model)} layers, or is no plain stack of them")
    backbone.layers = backbone.layers[:depth]
    config.num_hidden_layers = depth
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:depth]


def merged(model: Any, adapter: Path) -> Any:
    """A model with a LoRA adapter added to its weights. Raises UsageError when it does not fit."""
    from peft import PeftModel

    # Else it would be looked for on the network.
    if not (adapter / ADAPTER).is_file():
        raise UsageError(f"{adapter}: the adapter is missing (no {ADAPTER})")
    try:
        return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    except unreadable() as error:
        raise UsageError(f"{adapter}: the adapter does not fit its model: {first_line(error)}") from None


def context(model: Any) -> int:
    config = model.config.get_text_config()
    said = (getattr(config, name, None) for name in ("max_position_embeddings", "max_seq_len"))
    return int(next((limit for limit in said if limit), UNLIMITED))


def fits(tokens: int, model: Any) -> None:
    if tokens > context(model):
        raise ModelError(f"the prompt has {tokens} tokens, the model holds {context(model)}")


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
