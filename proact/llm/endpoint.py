"""What is known of a server beside its replies: its URL, the key for it, and the pauses that it asks for."""

from __future__ import annotations

import email.utils
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from proact.errors import InputError, UsageError


def checked(url: str) -> str:
    """A server's URL. Raises UsageError when it is none, or holds what may be secret: every message would show it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if "@" in url:
        raise UsageError("the base URL holds a user name or a password: give the key as OPENAI_API_KEY instead")
    if "?" in url or "#" in url:
        raise UsageError("the base URL holds a query or a fragment: give a key as OPENAI_API_KEY instead")
    if not usable:
        raise UsageError(f"base URL {url}: expected http://HOST:PORT/PATH or https://HOST/PATH")
    return url


def key() -> str:
    """The key of the environment, empty when there is none. Raises UsageError for one that no server can be sent."""
    found = os.environ.get("OPENAI_API_KEY", "").strip()
    if found and not (found.isascii() and found.isprintable()):
        raise UsageError("OPENAI_API_KEY holds a character that no key has: set it again")
    return found


def read_dotenv(path: Path) -> None:
    """Take `NAME=value` lines of a .env file into the environment; what is set already wins."""
    if not path.is_file():
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text ({type(error).__name__})") from None
    for number, line in enumerate(text.split("\n"), 1):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            try:
                os.environ.setdefault(name.strip(), value.strip().strip("\"'"))
            except (OSError, ValueError):
                raise InputError(path, "expected NAME=value that an environment can hold", line=number) from None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The pause in seconds that a server asks for: milliseconds, seconds or a date (RFC 9110, 10.2.3)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and (date := email.utils.parsedate_tz(value or "")):
        seconds = email.utils.mktime_tz(date) - time.time()
    return None if seconds is None else max(0.0, seconds)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
