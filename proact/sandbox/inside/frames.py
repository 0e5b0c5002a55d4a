"""Length-prefixed messages over a file descriptor: what all sandbox processes speak."""

from __future__ import annotations

import os
import struct

HEADER = struct.Struct("<I")
CHUNK = 1 << 18


class Closed(Exception):
    """The other end is gone."""


class TooLong(Exception):
    """The other end announced a message that is longer than allowed."""


class Frames:
    """One end of a channel; `buffered` is what came behind the last complete message."""

    def __init__(self, fd: int, *, limit: int = 1 << 30) -> None:
        self.fd, self.limit = fd, limit
        self.buffered = bytearray()

    def write(self, payload: bytes) -> None:
        """Send one message, blocking until it is out."""
        data = memoryview(HEADER.pack(len(payload)) + payload)
        try:
            sent = os.write(self.fd, data)
            while sent < len(data):
                sent += os.write(self.fd, data[sent:])
        except OSError as error:
            raise Closed from error

    def read(self) -> bytes:
        """The next message, blocking."""
        while (frame := self.complete()) is None:
            self.fill()
        return frame

    def fill(self) -> None:
        """Take what has arrived; blocks only when nothing has."""
        try:
            data = os.read(self.fd, CHUNK)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        self.buffered += data

    def complete(self) -> bytes | None:
        """The first whole message in the buffer, if there is one."""
        if len(self.buffered) < HEADER.size:
            return None
        (length,) = HEADER.unpack_from(self.buffered)
        if length > self.limit:
            raise TooLong
        end = HEADER.size + length
        if len(self.buffered) < end:
            return None
        frame = bytes(self.buffered[HEADER.size : end])
        del self.buffered[:end]
        return frame
