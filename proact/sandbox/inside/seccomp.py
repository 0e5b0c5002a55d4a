"""seccomp by ctypes: the system calls that no candidate program needs, refused."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from .syscalls import NUMBERS, REFUSED, REFUSED_TO_CHILD

PR_SET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_SET_SECCOMP, FILTER = 38, 21, 22, 2
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NR, ARCH, ARGUMENTS = 0, 4, 16
X32 = 0x40000000
PLACEHOLDER = 0x7A7A7A7A
CLONE_THREAD = 0x00010000
SIGKILL = 9
# Through each of these a process could have the kernel send it SIGKILL, which must stay the mark of an outside kill.
FCNTL_SIGNALS = (8, 10, 15)
PRCTL_REFUSED = (1, 22, 36)

_libc = ctypes.CDLL(None, use_errno=True)
prctl = _libc.prctl
prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]

Instruction = tuple[int, int, int, int]


class _Fprog(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def supported() -> bool:
    """Whether this kernel and processor can be filtered."""
    return platform.machine() in ARCHITECTURES and prctl(PR_GET_SECCOMP, 0, None, 0, 0) >= 0


def number(name: str) -> int | None:
    """The number of a system call on this processor, None where it does not exist."""
    return NUMBERS[name][ARCHITECTURES[platform.machine()][1]]


def install_base() -> None:
    """Refuse what neither the judge nor the zygote nor a child needs; inherited by every child."""
    refusals = [_refuse(name) for name in REFUSED]
    install(assemble([*refusals, _refuse("clone3", errno.ENOSYS)]))


def install_judge() -> None:
    """Refuse the judge every other process."""
    install(assemble([_refuse(name) for name in (*REFUSED_TO_CHILD, "setrlimit")] + _process_rules(os.getpid())))


class ChildFilter:
    """What every child installs, assembled once: before each fork nothing of it changes but the pid."""

    def __init__(self) -> None:
        blocks = [_refuse(name) for name in (*REFUSED_TO_CHILD, "setrlimit")]
        blocks += _process_rules(PLACEHOLDER) + _limit_rules()
        program, mark = assemble(blocks), struct.pack("<I", PLACEHOLDER)
        self._pids = [at for at in range(0, len(program), 4) if program[at : at + 4] == mark]
        self._program = ctypes.create_string_buffer(program, len(program))
        self._fprog = _Fprog(len(program) // 8, ctypes.addressof(self._program))
        self._address = ctypes.addressof(self._fprog)

    def install(self, pid: int) -> None:
        """Confine this process, whose pid it is."""
        for at in self._pids:
            struct.pack_into("<I", self._program, at, pid)
        if prctl(PR_SET_SECCOMP, FILTER, self._address, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "seccomp")


def install(program: bytes) -> None:
    """Add one filter to this process."""
    held = ctypes.create_string_buffer(program, len(program))
    fprog = _Fprog(len(program) // 8, ctypes.addressof(held))
    if prctl(PR_SET_SECCOMP, FILTER, ctypes.addressof(fprog), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def no_new_privileges() -> None:
    """Required before Landlock and seccomp by an unprivileged process."""
    if prctl(PR_SET_NO_NEW_PRIVS, 1, None, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")


def assemble(blocks: list[list[Instruction]]) -> bytes:
    """A whole filter: foreign architectures die, every block sees the call's number, the rest is allowed."""
    program: list[Instruction] = [(LOAD, 0, 0, ARCH), (EQUAL, 1, 0, ARCHITECTURES[platform.machine()][0])]
    program += [(RETURN, 0, 0, KILL), (LOAD, 0, 0, NR)]
    if platform.machine() == "x86_64":
        program += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]
    for block in blocks:
        program += block
    program.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _refuse(name: str, code: int = errno.EPERM) -> list[Instruction]:
    nr = number(name)
    return [] if nr is None else [(EQUAL, 0, 1, nr), (RETURN, 0, 0, REFUSE | code)]


def _when(name: str, body: list[Instruction]) -> list[Instruction]:
    """Run `body` for one system call; the number is loaded again behind it for the next block."""
    nr = number(name)
    return [] if nr is None else [(EQUAL, 0, len(body) + 1, nr), *body, (LOAD, 0, 0, NR)]


def _argument(index: int, high: bool = False) -> Instruction:
    return (LOAD, 0, 0, ARGUMENTS + 8 * index + (4 if high else 0))


_DENY: Instruction = (RETURN, 0, 0, REFUSE | errno.EPERM)


def _process_rules(pid: int) -> list[list[Instruction]]:
    """Threads yes, processes no; signals only to itself, and never SIGKILL."""
    clone = [_argument(0), (ANY_BIT, 1, 0, CLONE_THREAD), _DENY]
    blocks = [_when("clone", clone)]
    for name, signal_at in (("kill", 1), ("tgkill", 2)):
        own = [_argument(0), (EQUAL, 1, 0, pid), _DENY]
        soft = [_argument(signal_at), (EQUAL, 0, 1, SIGKILL), _DENY]
        blocks.append(_when(name, own + soft))
    for name, at, values in (("fcntl", 1, FCNTL_SIGNALS), ("prctl", 0, PRCTL_REFUSED)):
        checks = [step for value in values for step in ((EQUAL, 0, 1, value), _DENY)]
        blocks.append(_when(name, [_argument(at), *checks]))
    return blocks


def _limit_rules() -> list[list[Instruction]]:
    """Resource limits may be read, never set: a lowered hard CPU limit would end in SIGKILL too."""
    same_low = [_argument(2), (EQUAL, 1, 0, 0), _DENY]
    same_high = [_argument(2, high=True), (EQUAL, 1, 0, 0), _DENY]
    return [_when("prlimit64", same_low + same_high)]
