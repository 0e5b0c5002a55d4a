"""Landlock by ctypes: what a process may open, connect to and signal, given up for good."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

CREATE, ADD, RESTRICT = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, MAKE_SYM = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 12
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
FIRST_ABI = (1 << 13) - 1
READ = READ_FILE | READ_DIR
CHANGE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
TCP_BIND_AND_CONNECT = 3
SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The kernel's Landlock version, 0 where there is none."""
    return max(int(_libc.syscall(CREATE, None, 0, 1)), 0)


def handled(version: int) -> tuple[int, int, int]:
    """The file, network and scope rights that this kernel can take away."""
    files = FIRST_ABI
    for needed, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        files |= right if version >= needed else 0
    net = TCP_BIND_AND_CONNECT if version >= 4 else 0
    return files, net, SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0


def restrict(readable: Iterable[str], listable: Iterable[str], writable: Iterable[str]) -> None:
    """Confine the calling process and all its children to these paths. NO_NEW_PRIVS must be set."""
    version = abi()
    files, net, scope = handled(version)
    attribute = struct.pack("<QQQ", files, net, scope)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _libc.syscall(CREATE, ctypes.c_char_p(attribute), ctypes.c_size_t(len(attribute)), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    for paths, rights in ((readable, READ), (listable, READ_DIR), (writable, CHANGE)):
        for path in paths:
            _allow(ruleset, path, rights & files)
    if _libc.syscall(RESTRICT, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights &= -1 if os.path.isdir(path) else ON_FILES
        rule = struct.pack("<Qi", rights, fd)
        if rights and _libc.syscall(ADD, ruleset, 1, ctypes.c_char_p(rule), 0) != 0:
            raise OSError(ctypes.get_errno(), f"landlock_add_rule {path}")
    finally:
        os.close(fd)
