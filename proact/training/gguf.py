"""A trained policy as a GGUF file, which the embedded engine runs without torch.

The file holds the merged weights and the tokenizer of the file that the training began from; the policy's manifest
stands beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from proact import jsonl, sidecar
from proact.errors import UsageError
from proact.llm import causal, learned, weights
from proact.training.manifest import Manifest, checked

ARCHITECTURE = "llama"
DEPTH = f"{ARCHITECTURE}.block_count"
NORMS = "norm.weight"
SKIPPED = ("GGUF.", "general.file_type", "general.quantization_version")
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
OUTSIDE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def export(folder: Path, found: Manifest, out: Path) -> None:
    """Write a policy of `local:` weights as GGUF: matrices in 16 bits, the rest in 32.

    Raises UsageError for another base, whose tokenizer only its own converter can write, for weights that are not the
    policy's, and for the file of the base as `out`.
    """
    causal.needed("gguf", *(["peft"] if found.adapter else []))
    kind, _, rest = found.base.partition(":")
    if kind != "local":
        raise UsageError(
            f"--gguf writes policies trained from local:smollm2 or local:FILE.gguf; this one began from {found.base}"
        )
    original = weights.path(rest)
    jsonl.apart(original, jsonl.writable(out))
    loaded = learned.load(folder, found)
    # The words are the base's, whose tokenizer goes along.
    learned.on_its_base(folder, found, loaded.model)
    import gguf

    reader = gguf.GGUFReader(original)
    architecture = reader.fields["general.architecture"].contents()
    if architecture != ARCHITECTURE:
        raise UsageError(f"{original}: is of the architecture {architecture}; only {ARCHITECTURE} can be written")
    with jsonl.replace(out) as file:
        writer = gguf.GGUFWriter(file.name, ARCHITECTURE)
        _copy_fields(reader, writer, causal.layers(loaded.model))
        _add_tensors(loaded.model, writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    exported = msgspec.structs.replace(found, weights=weights.fingerprint(out))
    sidecar.write_meta(out, msgspec.to_builtins(exported))


def manifest(path: Path) -> Manifest:
    """The manifest beside an exported policy. Raises UsageError when it is not there or belongs to other weights."""
    beside = sidecar.meta_path(path)
    if not beside.is_file():
        raise UsageError(f"{path}: {beside.name} is not beside it; both files make up an exported policy")
    found = checked(beside.read_bytes(), str(beside))
    if found.weights != weights.fingerprint(weights.path(str(path))):
        raise UsageError(f"{path}: are not the weights that {beside.name} describes; export again")
    return found


def _copy_fields(reader: Any, writer: Any, depth: int) -> None:
    for name, field in reader.fields.items():
        if name.startswith(SKIPPED) or name == "general.architecture":
            continue
        kind, *inner = field.types
        writer.add_key_value(
            name, depth if name == DEPTH else field.contents(), kind, sub_type=inner[-1] if inner else None
        )


def _add_tensors(model: Any, writer: Any) -> None:
    import numpy as np

    heads, shared = model.config.num_attention_heads, model.config.num_key_value_heads
    tied = model.config.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        values = tensor.detach().float().cpu().numpy()
        if name.endswith("q_proj.weight"):
            values = _interleaved(values, heads)
        elif name.endswith("k_proj.weight"):
            values = _interleaved(values, shared)
        writer.add_tensor(_renamed(name), values if name.endswith(NORMS) else values.astype(np.float16))


def _interleaved(values: Any, heads: int) -> Any:
    """Rows of a rotary projection in the order of llama.cpp: pairs side by side, where transformers halves a head."""
    rows, columns = values.shape
    return values.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _renamed(name: str) -> str:
    if name in OUTSIDE:
        return OUTSIDE[name]
    _, _, layer, part = name.split(".", 3)
    return f"blk.{layer}.{NAMES[part.removesuffix('.weight')]}.weight"
