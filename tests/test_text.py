"""What a message says apart from its code, and that a long one is read as fast as it is long."""

from __future__ import annotations

import base64
import random

import pytest
from judge_server import dialogue

from proact.api import analyze_user_effort
from proact.domains.coding import extract
from proact.judges.turns import final_answer
from proact.text import prose, questions

LONG = 200_000


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("First this. Is it so? And that!", ("Is it so?",)),
        ("Really?! Why??\nBecause. 好吗？好。", ("Really?!", "Why??", "好吗？")),
        ("? ?! ...?", ()),
        ("no end", ()),
        ("Line one\nline two?", ("line two?",)),
        ("See https://a.org/?q=1 or not?", ("See   or not?",)),
    ],
)
def test_a_question_is_a_sentence(message: str, asked: tuple[str, ...]) -> None:
    assert questions(message) == asked


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("a https://x.y?z b", "a   b"),
        ("1.git+ssh://x b", "1.  b"),
        ("_a://b 2://c é.d://e", "_a://b 2://c é. "),
        ("a:// b", "a:// b"),
        ("(HTTP://x)", "( "),
    ],
)
def test_an_address_is_no_prose(message: str, left: str) -> None:
    assert prose(message) == left


def cases() -> dict[str, str]:
    """Long messages of which every part could begin what is looked for."""
    many = "".join(f"Is it about number {index}? " for index in range(LONG // 25))
    return {
        "no-end": "x " * (LONG // 2),
        "dots": "a.b.c." * (LONG // 6),
        "base64": base64.b64encode(random.Random(0).randbytes(LONG)).decode(),
        "one-word": "x" * LONG,
        "dashes": "a-" * (LONG // 2),
        "marks": "`'~\n" * (LONG // 4),
        "questions": many,
        "courtesies": "please, " * (LONG // 8) + "!",
        "blanks": "please" + " " * LONG + "!",
    }


@pytest.mark.parametrize("name", cases())
def test_a_long_message_is_read(name: str) -> None:
    message = cases()[name]
    assert len(questions(message)) == (LONG // 25 if name == "questions" else 0)
    assert prose(message) == message
    assert final_answer(dialogue("q", message)) == (None if name in ("marks", "courtesies", "blanks") else 1)
    assert analyze_user_effort(dialogue("q", "a", message))["total_effort_instances"] == 0


def test_a_line_of_blanks_after_a_colon_is_read() -> None:
    assert extract("answer:" + " " * LONG + "!", "assert twice(1) == 2") is None
