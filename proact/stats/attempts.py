"""Success over several attempts at one task, without bias for the number of attempts."""

from __future__ import annotations

from math import comb


def pass_at(n: int, right: int, k: int) -> float:
    """pass@k: the chance that at least one of k attempts, drawn from n of which `right` succeeded, succeeds."""
    return 1 - comb(n - right, k) / comb(n, k)


def pass_hat(n: int, right: int, k: int) -> float:
    """pass^k: the chance that all of k attempts, drawn from n of which `right` succeeded, succeed."""
    return comb(right, k) / comb(n, k)
