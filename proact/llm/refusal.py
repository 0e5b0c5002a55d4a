"""What the body of a refused request says: in words for the user, and which parameter the server does not take."""

from __future__ import annotations

import re
from typing import Any

from proact.parsing import repaired

_REFUSING = (
    r"\b(?:unsupported|(?:not|\w+n['’]t) support(?:ed)?|unknown|unrecogni[sz]ed|unexpected|not (?:permitted|allowed))\b"
)
# Three words: unrecognized request argument supplied: seed.
_BETWEEN = r"\W+(?:\w+\W+){0,3}?"


class Refusal:
    """A server's error: its message, and where a server names them apart, the parameters that it is about."""

    def __init__(self, body: bytes) -> None:
        value = repaired(body)
        if isinstance(value, list) and len(value) == 1:
            # Gemini's.
            value = value[0]
        fields = value if isinstance(value, dict) else {}
        error = fields.get("error") or fields
        inner = error if isinstance(error, dict) else {"message": error}
        said = inner.get("message") or ""
        self.message = str(said)
        self._about = _param(inner) or _located(fields) or _located(said)
        self._text = self.message if fields else body.decode("utf-8", "replace")

    def names(self, *parameters: str) -> bool:
        """Whether one of these is named at all; for names that only a programmer would write."""
        if self._about:
            return not self._about.isdisjoint(parameters)
        return any(name in self._text for name in parameters)

    def refuses(self, parameter: str) -> bool:
        """Whether the parameter itself is not taken. A server may repeat a prompt, where its name is a mere word."""
        if "too large" in self._text:
            # A value that is only too large for the model is no refusal of its name.
            return False
        if self._about:
            return parameter in self._about
        name = rf"\b{parameter}\b"
        # A name in quotes before a colon is the request, repeated.
        quoted = rf"['\"`‘“]{parameter}['\"`’”](?!\s*:)"
        near = rf"{_REFUSING}{_BETWEEN}{name}|{name}{_BETWEEN}{_REFUSING}"
        return re.search(f"{quoted}|{near}", self._text, re.IGNORECASE) is not None


def _param(error: dict[str, Any]) -> frozenset[str]:
    param = error.get("param")
    return frozenset(re.findall(r"\w+", param.lower())) if isinstance(param, str) else frozenset()


def _located(value: Any) -> frozenset[str]:
    """The places that pydantic names; the values that it repeats beside them are not looked at."""
    details = value.get("detail") if isinstance(value, dict) else None
    places = [each.get("loc") for each in details if isinstance(each, dict)] if isinstance(details, list) else []
    return frozenset(part for place in places if isinstance(place, list) for part in place if isinstance(part, str))
