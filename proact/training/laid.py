"""Rows of tokens laid together: what begins alike is there once, and each token sees its own past alone.

TRL lays chosen and rejected out as two rows, and turns of a dialogue as others. A causal model gives the same hidden
states wherever tokens begin alike.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from proact.llm.prefixes import alike

STRIDE = 32
ALIKE = 0.5
"""The share of a row that is in the row before it when both are laid together."""
WIDEST = 512
"""Tokens of a row that holds several groups."""
BALANCE = 1200
"""Tokens of a row whose attention takes as long as its products with weights, in 16 bits and of 135 million weights; in
32 bits they are some 2,900."""


class Trace(NamedTuple):
    """Of a row that came: its tokens, the laid row that holds them and where, and what it shares with another row."""

    tokens: tuple[int, ...]
    laid: int
    at: list[int]
    before: tuple[int, ...] | None
    common: int


class Laid(NamedTuple):
    """Rows laid together (rows, tokens), what each token may see (rows, 1, tokens, tokens), its place in its text, and
    the traces of the rows that came, those that share something after what they share it with."""

    ids: Any
    mask: Any
    places: Any
    traces: dict[int, Trace]


def lay(ids: Any, attention: Any) -> Laid:
    """Rows (rows, tokens) laid together; what the attention mask leaves out of them is padding at their end."""
    import torch

    traces = _traces([tuple(row[:n]) for row, n in zip(ids.tolist(), attention.sum(-1).tolist(), strict=True)])
    rows = max(trace.laid for trace in traces.values()) + 1
    longest = _strides(max(max(trace.at) for trace in traces.values()) + 1)
    laid, places = (torch.zeros((rows, longest), dtype=torch.long) for _ in range(2))
    seen = torch.zeros((rows, longest, longest), dtype=torch.bool)
    # What pads a row sees itself: a softmax over nothing is no number.
    seen[:, torch.arange(longest), torch.arange(longest)] = True
    for trace in traces.values():
        at = torch.tensor(trace.at)
        laid[trace.laid, at] = torch.tensor(trace.tokens)
        places[trace.laid, at] = torch.arange(len(at))
        seen[trace.laid, at[:, None], at] |= torch.ones(len(at), len(at), dtype=torch.bool).tril()
    return Laid(laid, seen[:, None], places, traces)


def gather(laid: Laid, states: Any, ids: Any) -> Any:
    """The states (rows, tokens, width) of the rows that came, of those (rows, tokens, width) that were laid together.

    Those of padding are any. What several rows share gets the sum of their gradients, in the same order each time;
    indexing by rows and columns would add up in whatever order threads come.
    """
    import torch

    places = torch.zeros(ids.shape, dtype=torch.long)
    for row, trace in laid.traces.items():
        places[row, : len(trace.at)] = trace.laid * states.shape[1] + torch.tensor(trace.at)
    return states.flatten(0, 1).index_select(0, places.flatten()).view(*ids.shape, -1)


def tails(laid: Laid, room: int) -> Any:
    """Which places (rows, tokens) predict a completion: those of it, and one before."""
    import torch

    found = torch.zeros(laid.ids.shape, dtype=torch.bool)
    for trace in laid.traces.values():
        found[trace.laid, trace.at[-room - 1 :]] = True
    return found


def _traces(texts: list[tuple[int, ...]]) -> dict[int, Trace]:
    """Large groups first, small ones where they leave room."""
    groups = sorted(_groups(texts), key=_size, reverse=True)
    sizes = [_size(group) for group in groups]
    found: dict[int, Trace] = {}
    for group, (laid, first) in zip(groups, _packed(sizes), strict=True):
        for row, trace in group.items():
            found[row] = trace._replace(laid=laid, at=[place + first for place in trace.at])
    return found


def _packed(sizes: list[int]) -> list[tuple[int, int]]:
    """The row and the first place of each group, largest first, in rows of the width that takes the least work."""
    least = _strides(sizes[0])
    widths = range(least, max(least, min(WIDEST, sum(sizes))) + STRIDE, STRIDE)
    return min((_in_rows(sizes, width) for width in widths), key=lambda found: _work(found, sizes))


def _in_rows(sizes: list[int], width: int) -> list[tuple[int, int]]:
    used: list[int] = []
    found = []
    for size in sizes:
        row = next((row for row, taken in enumerate(used) if taken + size <= width), len(used))
        used += [0] * (row == len(used))
        found.append((row, used[row]))
        used[row] += size
    return found


def _work(placed: list[tuple[int, int]], sizes: list[int]) -> int:
    """Of weights for each token, padding included, and of attention for each two tokens of a row."""
    rows = 1 + max(row for row, _ in placed)
    width = _strides(max(first + size for (_, first), size in zip(placed, sizes, strict=True)))
    return rows * width * (BALANCE + width)


def _strides(tokens: int) -> int:
    return -(-tokens // STRIDE) * STRIDE


def _groups(texts: list[tuple[int, ...]]) -> list[dict[int, Trace]]:
    """In the order of their tokens, no row shares more with any earlier row than with the one right before it."""
    found: list[dict[int, Trace]] = []
    last: Trace | None = None
    used = 0
    for row in sorted(range(len(texts)), key=texts.__getitem__):
        text = texts[row]
        common = alike(last.tokens, text) if last else 0
        if last is None or common < ALIKE * len(text):
            found.append({})
            used, last, common = 0, None, 0
        at = [*(last.at[:common] if last else []), *range(used, used + len(text) - common)]
        used += len(text) - common
        last = found[-1][row] = Trace(text, 0, at, last.tokens if last else None, common)
    return found


def _size(group: dict[int, Trace]) -> int:
    return 1 + max(max(trace.at) for trace in group.values())
