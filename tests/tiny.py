"""A language model of a few thousand weights with a tokenizer of its own, and pairs that it can learn in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

from support import Cli, Row, succeeded

WORDS = ("Clarif", "Exec", "Action:", "user", "assistant", "coding", "What", "which", "list", "key")
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


SIZES: Row = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "tie_word_embeddings": True,
}
HEADS: Row = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
OTHERS: dict[str, Row] = {
    "Gemma2": {**SIZES, "sliding_window": 16},
    "Mistral": {**SIZES, "sliding_window": 16},
    "Mixtral": {**SIZES, "num_local_experts": 4},
    "GPT2": HEADS,
    "Falcon": {**HEADS, "alibi": True},
    "Bloom": HEADS,
    "Mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
}
"""Models that are not like Llama, and what makes them small."""


def tiny_model(folder: Path, *, seed: int = 0, context: int = 1024, family: str = "Llama") -> Path:
    """Write the model into `folder`, as `save_pretrained` does."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f"{one} {other}" for one in WORDS for other in WORDS], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    fast.chat_template = TEMPLATE
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(fast),
        **OTHERS.get(family, SIZES),
        **({} if family in ("Bloom", "Mamba") else {"max_position_embeddings": context}),
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
    )
    generator = torch.Generator().manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def pair(number: int, asks: bool, **fields: Any) -> Row:
    """A pair whose request says which action is the better one."""
    query = f"Write function number {number}; {'you must ask me what it does' if asks else 'it returns its argument'}."
    state = {"id": f"s{number}", "domain": "coding", "query": query, "dialogue_turn": 0, "prev_reject": 0}
    chosen, rejected = ("Clarify", "Execute") if asks else ("Execute", "Clarify")
    texts = {"Clarify": "What does it do?", "Execute": "def f(x): return x"}
    arm = {"chosen": 1.0, "rejected": 0.0}
    return {
        "state": {**state, "task_uncertainty": 0.5},
        "chosen_action": chosen,
        "rejected_action": rejected,
        "chosen_text": texts[chosen],
        "rejected_text": texts[rejected],
        "rewards": arm,
        "task_scores": arm,
        "interrupt_costs": arm,
        "prompt": [{"role": "user", "content": query}],
        "chosen": [{"role": "assistant", "content": texts[chosen]}],
        "rejected": [{"role": "assistant", "content": texts[rejected]}],
        "id": f"g{number}/pair",
        "group": f"g{number}",
        "chosen_id": f"g{number}/mainline",
        "rejected_id": f"g{number}/other",
        "state_id": f"s{number}",
        "persona": "pat",
        "profile": "Works in a hurry.",
        "method": "documented",
        "seed": 0,
        "turn": 0,
        "family": f"f{number // 2}",
        "split": "train",
        "margin": 1.0,
        "margin_se": None,
        "p_better": None,
        "weight": 1.0,
        "spec": "default@1",
        **fields,
    }


def pairs(count: int = 40) -> list[Row]:
    return [pair(number, number % 2 == 0) for number in range(count)]


def trained(cli: Cli, base: Path, *more: object, output: str = "policy") -> Row:
    """What `proact train` says of a training on pairs.jsonl."""
    ran = succeeded(cli("train", "--data", "pairs.jsonl", "--model", base, "--output", output, "--json", *more))
    report: Row = json.loads(ran.out)
    return report


def rounding() -> float:
    """How far apart log-probabilities, and chances, may end that were computed in another order: weights are large."""
    from proact.llm import causal

    return 0.1 if causal.short_floats() else 0.02


def means(model: Any, tokenizer: Any, prompt: str, *words: str) -> list[float]:
    """Log-probability per token of asking and of answering, or of other words: a forward pass a word, and no cache."""
    import torch

    found = []
    for word in words or (" Clarify", " Execute"):
        start, ids = len(tokenizer(prompt)["input_ids"]), tokenizer(prompt + word)["input_ids"]
        with torch.no_grad():
            chances = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        found.append(fmean(float(chances[place - 1, ids[place]]) for place in range(start, len(ids))))
    return found
