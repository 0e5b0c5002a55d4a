"""What a trajectory earned: its task score, its cost, further components, and the pairs that follow from them."""

from proact.rewards.components import register

__all__ = ["register"]
