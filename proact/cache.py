"""Where proact keeps what outlives a command: the call log, sandbox results and model weights."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """The folder named by PROACT_CACHE_DIR, else the user's cache folder; it need not exist yet."""
    if named := os.environ.get("PROACT_CACHE_DIR"):
        return Path(named).expanduser()
    return Path(platformdirs.user_cache_dir("proact"))
