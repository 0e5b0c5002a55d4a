"""How likely a model of the transformers library finds words after a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proact.errors import UsageError
from proact.llm.causal import Loaded, arithmetic, context, fits

TOKENIZER_SAMPLE = "Action:"
STRIDE = 32


def words_after(tokenizer: Any, words: Sequence[str]) -> list[list[int]]:
    """The tokens of each word at the end of a prompt. Raises UsageError where a word merges with what is before it."""
    start = tokenizer(TOKENIZER_SAMPLE)["input_ids"]
    found = []
    for word in words:
        whole = tokenizer(TOKENIZER_SAMPLE + word)["input_ids"]
        if whole[: len(start)] != start or len(whole) == len(start):
            raise UsageError(f"the tokenizer joins {word!r} to the prompt before it, so its chance has no meaning")
        found.append(whole[len(start) :])
    return found


def spelling(tokenizer: Any, word: str) -> list[tuple[int, str]]:
    """The tokens of a word at the end of a prompt, each with the text of those before it."""
    (tokens,) = words_after(tokenizer, [word])
    return [(token, tokenizer.decode(tokens[:place])) for place, token in enumerate(tokens)]


def log_probs(loaded: Loaded, prompts: Sequence[str], words: Sequence[str]) -> list[list[float]]:
    """Mean log-probability per token of each word after each prompt, in one batch that reads every prompt once.

    Raises ModelError for a prompt that is longer than the model's context.
    """
    import torch

    model, tokenizer, where = loaded
    each = [tokenizer(prompt)["input_ids"] for prompt in prompts]
    spelled = words_after(tokenizer, words)
    room, longest = max(map(len, spelled)), max(map(len, each))
    fits(longest + room, model)
    # A new shape costs a CPU seconds of preparation, so there are few of them.
    longest = min(-(-longest // STRIDE) * STRIDE, context(model) - room)
    pad = tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (longest - len(one)) + one for one in each], device=where)
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in each], device=where)
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    with arithmetic(where):
        read = model(input_ids=ids, attention_mask=mask, position_ids=places, use_cache=True, logits_to_keep=1)
        first = read.logits[:, -1].float().log_softmax(-1)
        found = []
        for word in spelled:
            total = first[:, word[0]]
            if rest := word[1:]:
                row = torch.tensor([word[:-1]] * len(each), device=where)
                seen = torch.cat([mask, torch.ones_like(row)], -1)
                at = places[:, -1:] + 1 + torch.arange(len(rest), device=where)
                more = model(
                    input_ids=row, attention_mask=seen, position_ids=at, past_key_values=read.past_key_values
                ).logits
                chances = more.float().log_softmax(-1)
                total = total + chances.gather(-1, torch.tensor([[[t] for t in rest]] * len(each), device=where)).sum(
                    (1, 2)
                )
                read.past_key_values.crop(-len(rest))
            found.append(total / len(word))
    return [[float(column[row]) for column in found] for row in range(len(each))]
