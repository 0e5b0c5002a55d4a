"""What a training leaves out where a processor multiplies 16 bits changes nothing that it learns."""

from __future__ import annotations

import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proact.llm import causal
from proact.training import head, laid, products

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

ROWS, HEADS, SHARED, TOKENS, WIDTH = 2, 6, 2, 24, 16
MODULE = SimpleNamespace(num_key_value_groups=HEADS // SHARED, is_causal=True)


def parts() -> tuple[Any, Any, Any]:
    chance = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(ROWS, n, TOKENS, WIDTH, generator=chance).requires_grad_() for n in (HEADS, SHARED, SHARED)
    )
    return query, key, value


def seen() -> Any:
    """Two texts in a row: neither sees the other, and no token what follows it."""
    text = torch.arange(TOKENS) // 10
    return (text[:, None] == text).tril().expand(ROWS, 1, TOKENS, TOKENS)


def by_hand(query: Any, key: Any, value: Any, scaling: float) -> Any:
    key, value = (one.repeat_interleave(HEADS // SHARED, 1) for one in (key, value))
    scores = (query @ key.transpose(-1, -2) * scaling).masked_fill(~seen(), -torch.inf)
    return (torch.softmax(scores, -1) @ value).transpose(1, 2)


@pytest.mark.parametrize("scaling", [None, 0.5])
def test_attention_by_products_is_attention(scaling: float | None) -> None:
    one, other = parts(), parts()
    direction = torch.randn(ROWS, TOKENS, HEADS, WIDTH, generator=torch.Generator().manual_seed(1))
    found, _ = products.attend(0, MODULE, *one, seen(), scaling=scaling)
    expected = by_hand(*other, scaling or WIDTH**-0.5)
    (found.float() * direction).sum().backward()
    (expected * direction).sum().backward()
    assert found.dtype == torch.bfloat16
    for there, exact in [(found, expected), *((a.grad, b.grad) for a, b in zip(one, other, strict=True))]:
        assert (there.float() - exact).norm() < 0.02 * exact.norm()


def test_attention_of_another_kind_is_not_taken_for_the_plain_one() -> None:
    with pytest.raises(ValueError, match="softcap"):
        products.attend(0, MODULE, *parts(), seen(), softcap=30.0)


def test_many_scores_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "SCORES", ROWS * HEADS * TOKENS * TOKENS - 1)
    found, _ = products.attend(0, MODULE, *parts(), seen())
    assert found.dtype == torch.float32


def test_scores_are_kept_in_16_bits_for_the_way_back() -> None:
    kept = []

    def keep(found: Any) -> Any:
        kept.append(found)
        return found

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda found: found), torch.autocast("cpu", torch.bfloat16):
        products.attend(0, MODULE, *parts(), seen())
    assert {found.dtype for found in kept if found.shape[-2:] == (TOKENS, TOKENS)} == {torch.bfloat16}


@pytest.mark.parametrize("chunk", [256, 200])
def test_a_head_in_16_bits_teaches_what_lies_before_it_the_same(chunk: int) -> None:
    from trl.kernels.chunked_logprob import ChunkedLogProbFunction

    chance = torch.Generator().manual_seed(0)
    weight, states = (torch.randn(n, 32, generator=chance) for n in (512, 8))
    words = torch.arange(8) * 60
    layer = torch.nn.Linear(32, 512, bias=False)
    model = SimpleNamespace(get_output_embeddings=lambda: layer)
    layer.weight = torch.nn.Parameter(weight)
    exact, found = (states.clone().requires_grad_() for _ in range(2))
    torch.log_softmax(exact @ weight.T, -1)[torch.arange(8), words].sum().backward()
    with head.short(model), torch.autocast("cpu", torch.bfloat16):
        assert layer.weight.dtype == torch.bfloat16
        ChunkedLogProbFunction.apply(found, layer.weight, None, words, 1.0, chunk)[0].sum().backward()
    assert layer.weight.dtype == torch.float32
    assert (found.grad - exact.grad).norm() < 0.02 * exact.grad.norm()


def test_a_training_attends_by_products_and_leaves_no_trace_of_it(base: Path) -> None:
    from proact.training import dpo

    model, _ = dpo.base_model(str(base), qlora=False)
    config, layer = model.config, model.base_model.layers[0]
    ids = torch.arange(12).view(1, -1)
    with products.sixteen(model, 1), torch.autocast("cpu", torch.bfloat16):
        kinds = [one.mlp.up_proj.weight.dtype for one in model.base_model.layers]
        inside = layer.input_layernorm(torch.randn(1, 2, config.hidden_size)).dtype
        learned = model(input_ids=ids, attention_mask=torch.ones(1, 1, 12, 12, dtype=torch.bool).tril()).logits
    assert (config._attn_implementation, inside) == ("sdpa", torch.bfloat16)
    assert kinds == [torch.bfloat16, torch.float32]
    assert layer.input_layernorm(torch.randn(1, 2, config.hidden_size)).dtype == torch.float32
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert (learned.float() - model(input_ids=ids).logits).norm() < 0.05 * learned.norm()


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [([200, 190, 150, 120], 2), ([60], 1), ([400, 400, 30], 2), ([64, 64, 64, 64, 64, 64, 64, 64], 8)],
)
def test_texts_are_laid_into_rows_that_take_the_least_work(sizes: list[int], rows: int) -> None:
    """Of 200, 190, 150 and 120 tokens, rows of 224 hold one text each: 4 x 224 x (1,200 + 224) = 1,275,904. Two rows of
    352 hold two each: 2 x 352 x (1,200 + 352) = 1,092,608."""
    ids = torch.zeros(len(sizes), max(sizes), dtype=torch.long)
    read = torch.zeros_like(ids)
    for row, size in enumerate(sizes):
        ids[row, :size] = row * 1000 + torch.arange(size)
        read[row, :size] = 1
    found = laid.lay(ids, read)
    assert len(found.ids) == rows
    assert found.mask.shape == (rows, 1, found.ids.shape[1], found.ids.shape[1])
    for row, size in enumerate(sizes):
        trace = found.traces[row]
        assert found.ids[trace.laid, trace.at].tolist() == ids[row, :size].tolist()


def test_what_an_adapter_adds_to_is_kept_in_16_bits_while_it_learns(base: Path) -> None:
    from peft import LoraConfig, get_peft_model

    from proact.training import dpo

    model, _ = dpo.base_model(str(base), qlora=False)
    with causal.quiet():
        adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], layers_to_transform=[1]))
    ids = torch.arange(12).view(1, -1)
    before = adapted(input_ids=ids).logits
    part = model.base_model.layers[1].self_attn.q_proj
    with products.adapter(model), torch.autocast("cpu", torch.bfloat16):
        assert part.base_layer.weight.dtype == torch.bfloat16
        adapted(input_ids=ids).logits.sum().backward()
    assert part.lora_B["default"].weight.dtype == part.lora_B["default"].weight.grad.dtype == torch.float32
    assert part.lora_B["default"].weight.grad.abs().max() > 0
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert torch.equal(adapted(input_ids=ids).logits, before)


def test_memory_that_one_pass_gives_back_serves_the_next() -> None:
    """The kernel hands memory out and clears it page by page: six tensors of 16 MB are 24,576 pages of 4 KB."""
    causal.needed()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        assert len([torch.ones(1 << 22) for _ in range(6)]) == 6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2 * 24_576
