"""How likely a model of the transformers library finds words after a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from proact.errors import UsageError
from proact.llm import prefixes
from proact.llm.causal import Loaded, arithmetic, fits, plain, stacked
from proact.llm.prefixes import Begun, Prefixes

TOKENIZER_SAMPLE = "Action:"
STRIDE = 32
"""A new shape costs a CPU seconds of preparation, so there are few of them."""


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


class Chances:
    """How likely a model finds words after prompts: their mean log-probabilities per token.

    A plain stack of layers reads a batch of prompts once, and what begins as one of the last ones did, as a dialogue a
    turn later, not again.
    """

    def __init__(self, loaded: Loaded, words: Sequence[str]) -> None:
        self._model, self._tokenizer, self._where = loaded
        self._words = words_after(self._tokenizer, words)
        self._room = max(map(len, self._words))
        self._keeps = stacked(self._model.base_model) and plain(self._model)
        self._prefixes = Prefixes()

    def __call__(self, prompts: Sequence[str]) -> list[list[float]]:
        """The words' chances after each prompt. Raises ModelError for one that is longer than the model's context."""
        each = [self._tokenizer(prompt)["input_ids"] for prompt in prompts]
        fits(max(map(len, each)) + self._room, self._model)
        return self._continued(each) if self._keeps else self._whole(each)

    def _continued(self, each: list[list[int]]) -> list[list[float]]:
        begun = [self._prefixes.begun(one) for one in each]
        with arithmetic(self._where):
            batch = self._batch(each, begun)
            read = self._model(**batch, use_cache=True, logits_to_keep=1)
            first = read.logits[:, -1].float().log_softmax(-1)
            columns = [self._word(word, first, batch, read.past_key_values) for word in self._words]
            for row, tokens in enumerate(each):
                places = batch["attention_mask"][row].bool()
                self._prefixes.keep(tokens, *prefixes.read(read.past_key_values, row, places))
        return [[float(column[row]) for column in columns] for row in range(len(each))]

    def _whole(self, each: list[list[int]]) -> list[list[float]]:
        """Every prompt once a word, by a model that cannot go back to where a prompt ended: one that has forgotten what
        lies behind its window, or keeps a state and no keys. What pads a row comes after all that is asked for."""
        import torch

        rows = [prompt + word[:-1] for prompt in each for word in self._words]
        starts = [len(prompt) - 1 for prompt in each for _ in self._words]
        longest = _strides(max(map(len, rows)))
        pad = self._tokenizer.pad_token_id
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=self._where)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=self._where)
        asked = sorted({place for start, row in zip(starts, rows, strict=True) for place in range(start, len(row))})
        with arithmetic(self._where):
            kept = torch.tensor(asked, device=self._where)
            read = self._model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=kept)
            chances = read.logits.float().log_softmax(-1)
        at = {place: column for column, place in enumerate(asked)}
        found = iter(
            fmean(float(chances[row, at[start + place], token]) for place, token in enumerate(word))
            for row, (start, word) in enumerate(zip(starts, self._words * len(each), strict=True))
        )
        return [[next(found) for _ in self._words] for _ in each]

    def _batch(self, each: list[list[int]], begun: list[Begun]) -> dict[str, Any]:
        """What is new, padded before it, after what is known, padded before it too."""
        import torch

        new = [one[common:] for one, (_, common) in zip(each, begun, strict=True)]
        known, longest = _strides(max(common for _, common in begun)), _strides(max(map(len, new)))
        pad = self._tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(one)) + one for one in new], device=self._where)
        seen = [
            [0] * (known - common) + [1] * common + [0] * (longest - len(one)) + [1] * len(one)
            for one, (_, common) in zip(new, begun, strict=True)
        ]
        mask = torch.tensor(seen, device=self._where)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)[:, known:],
            "past_key_values": prefixes.past(begun, known),
        }

    def _word(self, word: list[int], first: Any, batch: dict[str, Any], cache: Any) -> Any:
        """Its mean log-probability per token after each row (rows,); the cache is as it was afterwards."""
        import torch

        total = first[:, word[0]]
        if rest := word[1:]:
            rows = len(first)
            row = torch.tensor([word[:-1]] * rows, device=self._where)
            seen = torch.cat([batch["attention_mask"], torch.ones_like(row)], -1)
            at = batch["position_ids"][:, -1:] + 1 + torch.arange(len(rest), device=self._where)
            more = self._model(input_ids=row, attention_mask=seen, position_ids=at, past_key_values=cache).logits
            chances = more.float().log_softmax(-1)
            asked = torch.tensor([[[token] for token in rest]] * rows, device=self._where)
            total = total + chances.gather(-1, asked).sum((1, 2))
            cache.crop(-len(rest))
        return total / len(word)


def _strides(tokens: int) -> int:
    return -(-tokens // STRIDE) * STRIDE
