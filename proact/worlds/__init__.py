"""Synthetic tasks."""

from proact.worlds import keyring, puzzles
from proact.worlds.base import WORLDS, World

__all__ = ["WORLDS", "World", "keyring", "puzzles"]
