"""Where proact keeps what it can make again: model replies, sandbox results, weights."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The user's cache folder for proact; PROACT_CACHE_DIR overrides it."""
    if override := os.environ.get("PROACT_CACHE_DIR"):
        return Path(override)
    from platformdirs import user_cache_path

    return user_cache_path("proact")
