"""Synthetic tasks."""

from proact.worlds import keyring, puzzles
from proact.worlds.base import FURTHER, WORLDS, Starts, World

__all__ = ["FURTHER", "WORLDS", "Starts", "World", "keyring", "puzzles"]
