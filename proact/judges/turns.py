"""A conversation as turns: who said what, and which message is the final answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson

from proact.records import Message
from proact.text import prose, questions, words

_COURTESY = re.compile(
    r"(?:(?:great|good|perfect|awesome|wonderful|ok|okay|sure|of course|and|oh|well|so|just|please)\b\W*+)*"
    r"(?:$|(?:you(?:'re| are) (?:very |most |so |always )?welcome|my pleasure|no problem|no worries|anytime)\b"
    r"|(?:i'?m |i am )?(?:so |very |always )?(?:glad|happy|pleased) (?:to|i|that|it|you|we|this)\b"
    r"|(?:have|enjoy) (?:a |an |the rest of |your )(?:\w+ ){0,3}"
    r"(?:day|one|time|trip|week|weekend|morning|afternoon|evening|night|meal|holiday)\b"
    r"|(?:good luck|good ?bye|bye|take care|see you|cheers)\b"
    r"|(?:thanks|thank you)\b|let me know\b|feel free\b|(?:ask|reach out|come back) (?:if|me|any|when)"
    r"|(?:is there )?anything else\b|(?:if|should|whenever) you (?:have|need|run into) (?:any|more|further)"
    r"|(?:if|should|whenever) (?:anything|something) (?:else )?(?:comes? up|is unclear)"
    r"|(?:i |we )?(?:do |really )?hope (?:this|that|it|these) (?:\w+ ){0,2}(?:helps?|helped|useful|clear)\b"
    r"|(?:ask|question|understood|noted|got it)\W*$"
    r"|don't (?:mention it|hesitate)|不客气|不用谢|再见|祝你|很高兴)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")
_CLAUSE = re.compile(r"[^,;:，；：—.!?。！？\n]+")


class Exchange(NamedTuple):
    """What a user said and what the assistant made of it; `at` is the last assistant message, `reaction_at` the first
    user message after it."""

    query: str
    answer: str
    at: int
    reaction: str | None
    reaction_at: int | None


class _Block(NamedTuple):
    role: str
    text: str
    first: int
    last: int


def said(message: Message) -> str:
    """What a message says: its text, and the tools it calls."""
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    calls = [f"[calls {_call(call)}]" for call in message.get("tool_calls") or []]
    return "\n".join([*([str(content)] if content else []), *calls])


def exchanges(messages: Sequence[Message], start: int = 0) -> Iterator[Exchange]:
    """The exchanges whose answer ends at `start` or later. Messages of one side in a row count as one; a tool's result
    belongs to the assistant's work."""
    blocks = _blocks(messages)
    for index, block in enumerate(blocks):
        if block.role != "assistant" or not index or block.last < start:
            continue
        after = blocks[index + 1] if index + 1 < len(blocks) else None
        query = blocks[index - 1].text
        yield Exchange(query, block.text, block.last, after.text if after else None, after.first if after else None)


def query_before(messages: Sequence[Message], at: int) -> str:
    """What the user last said before a message; empty when it comes first."""
    return next((block.text for block in reversed(_blocks(messages[:at])) if block.role == "user"), "")


def final_answer(messages: Sequence[Message]) -> int | None:
    """Index of the last assistant message that holds an answer, not a courtesy at the end and not only a question;
    None when the assistant never said anything else than courtesies."""
    spoken = [index for index, message in enumerate(messages) if message["role"] == "assistant" and said(message)]
    answering = [index for index in spoken if _content(said(messages[index]), asked=False)]
    substantial = [index for index in spoken if _content(said(messages[index]), asked=True)]
    found = answering or substantial
    return found[-1] if found else None


def _content(message: str, *, asked: bool) -> bool:
    """Whether anything is left without courtesies and, unless `asked`, without questions."""
    if prose(message).strip() != message.strip():
        return True
    asking = frozenset(questions(message))
    for sentence in _SENTENCE.findall(message.replace("’", "'")):
        if not asked and sentence.strip() in asking:
            continue
        clauses = [clause.strip() for clause in _CLAUSE.findall(sentence) if words(clause)]
        if any(re.search(r"\d", clause) or not _COURTESY.match(clause) for clause in clauses):
            return True
    return False


def _blocks(messages: Sequence[Message]) -> list[_Block]:
    blocks: list[_Block] = []
    for index, message in enumerate(messages):
        role, text = message["role"], said(message)
        if role not in ("user", "assistant") or not text.strip():
            continue
        if blocks and blocks[-1].role == role:
            before = blocks[-1]
            blocks[-1] = _Block(role, f"{before.text}\n\n{text}", before.first, index)
        else:
            blocks.append(_Block(role, text, index, index))
    return blocks


def _call(call: object) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if isinstance(function, dict):
        return f"{function.get('name')}({function.get('arguments', '')})"
    return orjson.dumps(call, default=str).decode()
