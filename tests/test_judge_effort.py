"""effort: the documents' five categories, with the patterns meaning what they say."""

from __future__ import annotations

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from judge_server import Shell, dialogue

from proact.api import analyze_user_effort
from proact.labels import EFFORT_WEIGHTS


def after_opening(text: str) -> dict[str, int]:
    found: dict[str, int] = analyze_user_effort(dialogue("Tell me about the sea.", "It is wet.", text))["counts"]
    return {category: count for category, count in found.items() if count}


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Please use bullets.", "preference_enforcement"),
        ("Write it shorter.", "preference_enforcement"),
        ("I PREFER short answers", "preference_enforcement"),
        ("As I mentioned, no tables.", "preference_enforcement"),
        ("Remember that it is for children.", "preference_enforcement"),
        ("What do you mean?", "clarification_requests"),
        ("I don’t understand the last line.", "clarification_requests"),
        ("Could you clarify?", "clarification_requests"),
        ("That's wrong.", "corrections"),
        ("No, the second one.", "corrections"),
        ("You forgot the units.", "corrections"),
        ("Ugh.", "frustration"),
        ("This is confusing!", "frustration"),
        ("Why can't you count?", "frustration"),
        ("Tell me about the sea", "rephrasing"),
    ],
)
def test_each_category_is_recognised(text: str, category: str) -> None:
    assert after_opening(text) == {category: 1}


@pytest.mark.parametrize(
    "text",
    [
        "Because of the information and the format of it.",
        "The rewriting helped.",
        "Thanks, that is what I needed to hear about ducks.",
        "He sighed; naughty laughter.",
        "It was unclearly lit, and the algorithm was memorable.",
        "Nothing, actually.",
    ],
)
def test_parts_of_words_and_mentions_are_no_effort(text: str) -> None:
    found = after_opening(text)
    assert "frustration" not in found
    assert "corrections" not in found
    assert found.keys() <= {"preference_enforcement"} if "needed" in text else not found


def test_the_opening_request_is_no_effort() -> None:
    found = analyze_user_effort(dialogue("Please use Python, I prefer it. Write a function, ugh!", "Here."))
    assert found["total_effort_instances"] == 0
    assert found["weighted_effort_score"] == 0.0


def test_a_request_in_other_words_is_a_rephrasing_and_a_new_one_is_not() -> None:
    opening = "Which birds breed on the northern coast of Norway?"
    for text, count in (
        ("Please list birds breeding along Norway's northern coast.", 1),
        ("And which fish live on the southern coast of Spain?", 0),
        ("Birds?", 0),
    ):
        assert analyze_user_effort(dialogue(opening, "Puffins.", text))["counts"]["rephrasing"] == count


@pytest.mark.parametrize("text", ["", "👍", "!!"])
def test_what_holds_no_word_rephrases_nothing(text: str) -> None:
    found = analyze_user_effort(dialogue("Name a sea.", "The Baltic.", text, "Do you want another?", text))
    assert found["counts"]["rephrasing"] == 0


def test_the_shape_and_the_weights_are_the_documents() -> None:
    messages = dialogue("Tell me about the sea.", "Wet.", "That's wrong, ugh.", "Ok.", "Tell me about the sea!")
    found = analyze_user_effort(messages)
    assert list(found["categories"]) == list(found["counts"]) == list(EFFORT_WEIGHTS)
    assert found["categories"]["corrections"] == found["categories"]["frustration"] == ["That's wrong, ugh."]
    assert found["categories"]["rephrasing"] == ["Tell me about the sea!"]
    assert found["total_effort_instances"] == 3
    assert found["weighted_effort_score"] == 3.0 + 2.5 + 1.5


def judged(tmp_path: Path, *texts: str, **row: Any) -> dict[str, Any]:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{"id": "a", "messages": dialogue(*texts), **row}])
    shell.run("judge", "effort", "--in", "logs.jsonl", "--out", "v.jsonl")
    (verdict,) = shell.rows("v.jsonl")
    return verdict


def test_a_verdict_counts_phrases_and_words_without_a_model(tmp_path: Path) -> None:
    verdict = judged(tmp_path, "List the seas.", "One, two.", "LIKE I SAID: bullets. It is too long.", "- one")
    detail = verdict["detail"]
    assert (detail["enforcement_count"], detail["disappointment_count"]) == (1, 1)
    assert (detail["user_words"], detail["assistant_words"]) == (11, 3)
    assert detail["user_tokens"] is None, "no tokenizer is known"
    assert (verdict["model"], verdict["raw"]) == ("", None)


def test_chinese_is_counted_by_characters_and_not_as_one_word(tmp_path: Path) -> None:
    assert judged(tmp_path, "你好世界", "好")["detail"]["user_words"] == 4


def test_tokens_are_counted_where_a_tokenizer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("tokenizers")
    package.__spec__ = ModuleSpec("tokenizers", None)
    package.Tokenizer = Letters  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tokenizers", package)
    shell = Shell(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": {}}', "utf-8")
    shell.write("logs.jsonl", [{"id": "a", "messages": dialogue("abc", "de")}])
    command = ("judge", "effort", "--in", "logs.jsonl", "--out", "v.jsonl", "--tokenizer", "tokenizer.json")
    shell.run(*command)
    detail = shell.rows("v.jsonl")[0]["detail"]
    assert (detail["user_tokens"], detail["assistant_tokens"]) == (3, 2)
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "another"}}', "utf-8")
    shell.run(*command)
    assert len({row["spec"] for row in shell.rows("v.jsonl")}) == 2


class Letters:
    """Stands for tokenizers.Tokenizer: every letter is a token."""

    @classmethod
    def from_buffer(cls, content: bytes) -> Letters:
        return cls()

    def encode(self, text: str, *, add_special_tokens: bool) -> SimpleNamespace:
        return SimpleNamespace(ids=[*text])


def test_a_tokenizer_that_is_not_there_is_refused(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{"id": "a", "messages": dialogue("q", "a")}])
    code, complaint = shell.complaint("judge", "effort", "--in", "logs.jsonl", "--tokenizer", "none.json")
    assert code == 2
    assert "tokenizer" in complaint or "none.json" in complaint
    shell.write("other.json", [{"id": "a"}])
    code, complaint = shell.complaint("judge", "effort", "--in", "logs.jsonl", "--tokenizer", "other.json")
    assert (code, "other.json: is no tokenizer.json" in complaint) == (2, True)


@pytest.mark.parametrize(
    "content",
    [
        '{"model": {}}',
        '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["x y"]}}',
        '{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}, "added_tokens": 5}',
        '{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}} and',
        '{"model": "\ud800"}',
        '{"model": 5}',
        "",
    ],
)
def test_a_tokenizer_that_is_none_is_refused_in_a_line(tmp_path: Path, content: str) -> None:
    pytest.importorskip("tokenizers")
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{"id": "a", "messages": dialogue("q", "a")}])
    (tmp_path / "t.json").write_text(content, "utf-8", "surrogatepass")
    code, complaint = shell.complaint("judge", "effort", "--in", "logs.jsonl", "--tokenizer", "t.json")
    assert (code, complaint.splitlines()[-1].startswith("proact: t.json: is no tokenizer.json: ")) == (2, True), (
        complaint
    )


def test_a_tokenizer_of_the_library_counts(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    shell = Shell(tmp_path)
    shell.write("logs.jsonl", [{"id": "a", "messages": dialogue("a b", "a")}])
    model = {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"}
    written = {"version": "1.0", "pre_tokenizer": {"type": "Whitespace"}, "model": model}
    (tmp_path / "t.json").write_text(json.dumps(written), "utf-8")
    shell.run("judge", "effort", "--in", "logs.jsonl", "--out", "v.jsonl", "--tokenizer", "t.json")
    detail = shell.rows("v.jsonl")[0]["detail"]
    assert (detail["user_tokens"], detail["assistant_tokens"]) == (2, 1)
