"""Emptying a folder that hostile programs wrote to: any depth, any names, any rights."""

from __future__ import annotations

import os

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def empty(folder: str) -> None:
    """Remove everything in `folder`, without recursion and with no path longer than a name."""
    names = os.listdir(folder)
    if not names:
        return
    here = os.open(folder, DIRECTORY)
    above: list[tuple[str, list[str]]] = []
    try:
        while names or above:
            if not names:
                down, names = above.pop()
                here = _moved("..", here)
                os.rmdir(down, dir_fd=here)
            elif not _unlinked(name := names.pop(), here):
                above.append((name, names))
                here = _moved(name, here)
                names = os.listdir(here)
    finally:
        os.close(here)


def _moved(name: str, here: int) -> int:
    """The folder `name` as seen from `here`, which is closed."""
    there = os.open(name, DIRECTORY, dir_fd=here)
    os.close(here)
    return there


def _unlinked(name: str, parent: int) -> bool:
    """Remove what is no folder; a folder's rights are restored instead."""
    try:
        os.unlink(name, dir_fd=parent)
    except (IsADirectoryError, PermissionError):
        os.chmod(name, 0o700, dir_fd=parent)
        return False
    return True
