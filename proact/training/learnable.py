"""Which weights of a model learn, and which they begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proact.errors import UsageError
from proact.llm import causal
from proact.training.plan import Plan


def suits(plan: Plan, model: Any) -> None:
    """Raises UsageError for an architecture that TRL or PEFT cannot train."""
    from peft import get_peft_model
    from torch import device

    kind = f"{plan.model}: models of the architecture {model.config.model_type}"
    if model.base_model is model:
        raise UsageError(f"{kind} cannot be trained: their layers are not apart from their head")
    if plan.lora:
        try:
            with device("meta"), causal.quiet():
                get_peft_model(type(model)(model.config), adapter(plan, model))
        except ValueError as error:
            raise UsageError(
                f"{kind} take no LoRA adapter (--full trains all weights): {causal.first_line(error)}"
            ) from None


def upper_only(model: Any, fixed: int) -> None:
    """Let nothing learn but the layers above the `fixed` ones, and the norm above them all.

    Raises UsageError for a model that is no plain stack of layers.
    """
    if not causal.stacked(model.base_model):
        raise UsageError("--layers with --full: this model is no plain stack of layers")
    for name, weight in model.base_model.named_parameters():
        kind, _, rest = name.partition(".")
        weight.requires_grad = kind == "norm" or (kind == "layers" and int(rest.partition(".")[0]) >= fixed)
    if (head := model.get_output_embeddings()) is not None:
        head.requires_grad_(False)


def adapter(plan: Plan, model: Any) -> Any:
    """LoRA on every linear part of the upper layers (Hu et al. 2021, arXiv 2106.09685)."""
    from peft import LoraConfig
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    linear = (Linear, Conv1D)
    parts = {name.rpartition(".")[2] for name, part in model.base_model.named_modules() if isinstance(part, linear)}
    return LoraConfig(
        r=plan.lora_r,
        lora_alpha=2 * plan.lora_r,
        target_modules=sorted(parts),
        layers_to_transform=list(range(plan.depth - plan.layers, plan.depth)),
        task_type="CAUSAL_LM",
    )


def start_from(model: Any, start: Path, plan: Plan) -> None:
    """Give a model the weights that another training has ended with; what its losses compare with stays the base."""
    from safetensors.torch import load_file

    if plan.lora:
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(model, load_file(start / causal.ADAPTER))
        return
    for file in start.glob("*.safetensors"):
        model.load_state_dict(load_file(file), strict=False)
