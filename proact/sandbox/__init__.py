"""Runs candidate programs against their tests."""

from __future__ import annotations

from proact.sandbox.pool import Sandbox
from proact.sandbox.program import Limits, Program, Result

__all__ = ["Limits", "Program", "Result", "Sandbox"]
