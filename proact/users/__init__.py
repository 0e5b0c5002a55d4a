"""Personas and the simulated user."""

from __future__ import annotations

from proact.llm import Models, Sampling
from proact.users import rule
from proact.users.base import USERS, Reacted, Situation, User

__all__ = ["USERS", "Reacted", "Situation", "User", "open_user", "rule"]


def open_user(spec: str, models: Models, sampling: Sampling) -> User:
    """The simulated user named on the command line: `rule`, one of a plugin, or else a language model."""
    if spec in USERS:
        return USERS[spec]()
    from proact.users.prompted import Prompted

    return Prompted(models.open(spec), sampling)
