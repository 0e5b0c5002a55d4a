"""A plan as text becomes its steps: bulleted or numbered lines and sentences, each under its heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from proact.domains.clauses import SHORTEST_CLAUSE, is_clause
from proact.words import MARKS, words

LONGEST_HEADING = 12

_BULLET = re.compile(
    r"(\s*)(?:[-*+•‣◦–—]|\(?\d{1,3}[.):]|\(?[a-z][.)]|(?:step|phase|task)\s+\d{1,3}\s*[.:)–-])\s+(.*)", re.IGNORECASE
)
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*)")
_FENCE = re.compile(r"\s*(```|~~~)`*[^`]*")
_CHECKBOX = re.compile(r"\[[ xX]\]\s+")
_STRUCK = re.compile(r"~~[^~\n]{0,300}~~|<[^<>\n]{0,100}>")
_LINK = re.compile(r"\[([^\[\]\n]{0,200})\]\([^()\s]{0,300}\)")
_END = re.compile(r"(?<=[.!?…。！？])[\"'”’)*_]{0,3}(?:\s+|(?<=[。！？]))")
_ABBREVIATION = re.compile(
    r"\b(e\.g|i\.e|etc|approx|ca|no|st|vs|a\.m|p\.m|incl|max|min|mr|mrs|dr)\.(?=\s)", re.IGNORECASE
)
_ASKS = re.compile(
    r"\W*(?:please\s+)?(?:let me know|tell me|could you|can you|would you|share your|confirm\b|specify|clarify|"
    r"i(?: would|'d)? (?:still )?(?:need|like|have|want) to know|i need more|help me|i want|i(?: would|'d) like|"
    r"you (?:asked|want|wanted|said|mentioned)|(?:your|the) (?:request|task|goal) (?:is|was)|"
    r"(?:here is|here's|here are|below is|this is) [^.]{0,60}(?:plan|checklist|outline|overview)\b|"
    r"(?:this|the|my) plan (?:covers|includes|contains|has|will cover|takes))",
    re.IGNORECASE,
)


class Step(NamedTuple):
    """One step, its sentences as words; `loose` are sentences too short to say anything alone."""

    sentences: list[list[str]]
    loose: list[str]
    heading: list[str]
    parent: int | None


class _Line(NamedTuple):
    indent: int | None
    text: str
    is_heading: bool


def split(plan: str, request: str = "") -> list[Step]:
    """Split a plan into steps; questions, code, headings and sentences of the request are none."""
    restated = {tuple(sentence) for _, sentence in _spoken(_unmarked(request))}
    steps: list[Step] = []
    heading: list[str] = []
    open_bullets: list[tuple[int, int | None, list[str]]] = []
    for line in _lines(plan):
        if line.is_heading:
            heading, open_bullets = _lent(line.text), []
            continue
        while line.indent is not None and open_bullets and open_bullets[-1][0] >= line.indent:
            open_bullets.pop()
        _, parent, label = open_bullets[-1] if open_bullets else (0, None, [])
        sentences, loose = _sentences(line.text, restated, line.indent is not None)
        above = label or heading
        if line.indent is None:
            steps += [Step([sentence], [], above, None) for sentence in sentences]
            continue
        steps.append(Step(sentences, loose, above, parent))
        open_bullets.append((line.indent, len(steps) - 1, [] if sentences else _lent(line.text)))
    return steps


def _lent(text: str) -> list[str]:
    found = words(text)
    asked = text.rstrip().endswith("?")
    return found if len(found) <= LONGEST_HEADING and not asked and "," not in found else []


def _sentences(text: str, restated: set[tuple[str, ...]], bullet: bool) -> tuple[list[list[str]], list[str]]:
    """The clauses of a line and its loose words; in a bullet, a very short sentence joins the one beside it."""
    joined: list[list[str]] = []
    for spoken, sentence in _spoken(text):
        if spoken.endswith("?") or _ASKS.match(spoken) or tuple(sentence) in restated:
            continue
        short = sum(token not in MARKS for token in sentence) < SHORTEST_CLAUSE
        if bullet and joined and (short or sum(token not in MARKS for token in joined[-1]) < SHORTEST_CLAUSE):
            joined[-1] += sentence
        else:
            joined.append(sentence)
    loose = [token for sentence in joined if not is_clause(sentence) for token in sentence]
    return [sentence for sentence in joined if is_clause(sentence)], loose


def _spoken(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each sentence of a line, as it reads (without closing quotes) and as words."""
    for part in _END.split(_ABBREVIATION.sub(r"\1", text)):
        if found := words(part):
            yield part.strip().rstrip("\"'”’)*_ ").replace("？", "?"), found


def _lines(plan: str) -> Iterator[_Line]:
    """The lines of a plan without code; a line with a small first letter, or under a bullet, goes on the one before."""
    pending: _Line | None = None
    for raw in [*_without_code(plan), ""]:
        line = _read(raw) if raw.strip() else None
        if line and pending and line.indent is None and not (line.is_heading or pending.is_heading):
            goes_on = line.text[:1].islower()
            if goes_on or pending.indent is not None:
                glue = ". " if pending.text[-1:].isalnum() and not goes_on else " "
                pending = pending._replace(text=pending.text + glue + line.text)
                continue
        if pending:
            yield pending
        pending = line


def _without_code(plan: str) -> Iterator[str]:
    """The lines outside fenced code and outside quotations, which repeat what somebody else said."""
    fence = ""
    for line in plan.splitlines():
        found = _FENCE.fullmatch(line)
        if not fence and found:
            fence = found[1]
        elif fence:
            fence = "" if found and found[1] == fence else fence
        elif not line.lstrip().startswith(">"):
            yield line


def _read(raw: str) -> _Line:
    text = _unmarked(raw)
    if found := _HEADING.fullmatch(text):
        return _Line(None, found[1], True)
    emphasised = raw.strip().rstrip(":").startswith("**") and raw.strip().rstrip(":").endswith("**")
    found = _BULLET.fullmatch(text)
    count = len(text.split())
    if emphasised and count <= LONGEST_HEADING and raw.count("**") == 2:
        return _Line(None, found[2] if found else text, True)
    if found:
        return _Line(len(found[1].expandtabs(4)), _CHECKBOX.sub("", found[2], count=1), False)
    lead = text.rstrip().endswith(":") or (count < SHORTEST_CLAUSE and text.rstrip()[-1:].isalnum())
    return _Line(None, text.strip(), lead)


def _unmarked(text: str) -> str:
    """Take the markdown out of a line."""
    text = _LINK.sub(r"\1", _STRUCK.sub(" ", text))
    return text.replace("**", "").replace("__", "").replace("`", "").rstrip()
