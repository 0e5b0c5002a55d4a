"""What a message says apart from its code: prose, questions and words."""

from __future__ import annotations

import re
from functools import lru_cache

from proact.words import stem

_FENCED = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.DOTALL)
_INLINE = re.compile(r"`[^`\n]*`")
# Each run of characters that may name a scheme is looked at once, from its beginning: from every letter of it, a long
# one would take hours. So is each sentence below.
_ADDRESS = re.compile(r"(?<![a-z0-9+.-])([a-z0-9+.-]+)://(?=\S)", re.IGNORECASE)
_SCHEME = re.compile(r"\b[a-z]", re.IGNORECASE)
_SPACE = re.compile(r"\s|\Z")
_QUESTION = re.compile(r"(?<![^.!?。！？\n])[^.!?。！？\n]*[?？][?？!！]*")
# One word of an alphabetic script, or one character of a script that is written without spaces.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+(?:['’][^\W_]+)*")
_STOP = frozenset(
    word
    for line in (
        "a about actually all also am an and any anything are as at be been being but by can could did do does for",
        "from get give had has have he her him his how i if in into is it its just know let like make may me might",
        "more must my need needs no not of on one only or other our out own please she should so some something such",
        "tell than that the their them then there these they thing this those to up us use want was we were what",
        "when where which who why will with would you your specific exactly",
    )
    for word in line.split()
)


@lru_cache(1024)
def prose(message: str) -> str:
    """The message without code blocks, inline code and addresses: a `?` in a regex asks nothing."""
    return _unaddressed(_INLINE.sub(" ", _FENCED.sub("\n", message)))


def _unaddressed(text: str) -> str:
    """A text with a blank in place of each address, from its scheme to where it ends."""
    kept, at = [], 0
    for found in _ADDRESS.finditer(text):
        if found.start() >= at and (scheme := _SCHEME.search(text, *found.span(1))):
            kept += [text[at : scheme.start()], " "]
            at = next(_SPACE.finditer(text, found.end())).start()
    return "".join([*kept, text[at:]])


@lru_cache(1024)
def questions(message: str) -> tuple[str, ...]:
    """The questions that a person would be asked, each as its sentence."""
    return tuple(match.strip() for match in _QUESTION.findall(prose(message)) if _WORD.search(match))


def words(text: str) -> list[str]:
    """The words of a text; a character of a script without spaces counts as one."""
    return _WORD.findall(text)


def content_words(text: str) -> frozenset[str]:
    """The stems of the words that carry meaning."""
    return frozenset(stem(word) for word in words(text.casefold()) if word not in _STOP)
