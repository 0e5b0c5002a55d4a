"""GGUF weights as a folder that transformers can train: dequantised once, kept in the cache."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from proact import disk
from proact.cache import cache_dir
from proact.errors import UsageError
from proact.llm import causal, weights


def rebuilt(file: Path) -> Path:
    """The folder with the weights of a GGUF file in 32 bits, its tokenizer and its chat template.

    Raises UsageError for a kind of model that transformers cannot read, OutputError when the folder cannot be written.
    """
    kept = cache_dir() / "models" / f"{file.stem}-{weights.fingerprint(file)}"
    with disk.saving(kept.parent):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with weights.alone(kept.parent):
            if not kept.is_dir():
                for left_over in kept.parent.glob(".rebuild-*"):
                    shutil.rmtree(left_over, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix=".rebuild-", dir=kept.parent) as folder:
                    _rebuild(file, Path(folder) / "model").replace(kept)
    return kept


def _rebuild(file: Path, folder: Path) -> Path:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)
        quantised = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    except causal.unreadable() as error:
        raise UsageError(f"{file}: transformers cannot read this model: {causal.first_line(error)}") from None
    # What was read from a GGUF file refuses to be saved; an equal model that was not does not.
    config = quantised.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(quantised.state_dict())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
