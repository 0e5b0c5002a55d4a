"""Reading and writing JSONL: what an error says, and what is left when a write fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proact import jsonl
from proact.errors import InputError, OutputError, UsageError
from proact.records import State

GOOD = b'{"id": "a", "domain": "coding", "query": "q"}'
INFINITE = (b"1e400", b"-1E+0400", b"9" * 310, b"9" * 250 + b"e99")


def complaint(path: Path, content: bytes) -> str:
    """What the reader says about a file."""
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(jsonl.read(path, State))
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{'id': 1}", "not valid JSON ("),
        (b'{"id": "a", "domain": "coding", "query": "q', "not valid JSON (cut off in the middle)"),
        (b"[1, 2]", "expected a JSON object, got list"),
        (b"null", "expected a JSON object, got NoneType"),
        (b'{"id": "a", "domain": "coding", "query": 3}', "field query: expected str, got int"),
        (b'{"id": "a", "domain": "coding"}', "field query: is required and missing"),
        (
            GOOD[:-1] + b', "facts": [{"id": "f", "text": "t"}, {"id": 7, "text": "t"}]}',
            "field facts[1].id: expected str, got int",
        ),
        (
            b'{"id": "a", "domain": "coding", "query": "q", "facts": [{"id": "f"}]}',
            "field facts[0].text: is required and missing",
        ),
        (b'{"id": "a", "domain": "coding", "query": "q", "task_uncertainty": NaN}', "not valid JSON ("),
        (b'{"id": "a", "domain": "coding", "query": "\\ud800", "task_uncertainty": NaN}', "not valid JSON ("),
        (b'{"id": "a", "domain": "coding", "query": "caf\xe9"}', "not valid JSON (str is not valid UTF-8)"),
        (b"[" * 100_000, "not valid JSON ("),
        (GOOD[:-1] + b', "n": ' + b"[" * 200 + b"]" * 200 + b"}", "is nested more than 200 levels deep"),
        *((GOOD[:-1] + b', "n": %s}' % number, "not valid JSON (number is infinity") for number in INFINITE),
    ],
)
def test_an_error_names_file_line_and_field(tmp_path: Path, line: bytes, said: str) -> None:
    file = tmp_path / "states.jsonl"
    found = complaint(file, GOOD + b"\n\n" + line + b"\n")
    assert found.startswith(f"{file}:3: {said}")
    assert "\n" not in found


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.jsonl", "no such file"), (tmp_path, "Is a directory")):
        with pytest.raises(InputError) as caught:
            list(jsonl.read(path, State))
        assert str(caught.value) == f"{path}: {reason}"


@pytest.mark.parametrize(
    ("content", "queries"),
    [
        (b"\xef\xbb\xbf" + GOOD + b"\n", ["q"]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbf\n" + GOOD, ["q"]),
        (b"\n  \n" + GOOD + b"\n\t\n" + GOOD + b"\n\n", ["q", "q"]),
        (GOOD + b"\r\n" + GOOD + b"\r\n", ["q", "q"]),
        (GOOD.replace(b'"q"', '"a\u2028b\x85c"'.encode()) + b"\n", ["a\u2028b\x85c"]),
        (GOOD.replace(b'"q"', b'"a\\ud83db"') + b"\n", ["a\ufffdb"]),
        (GOOD.replace(b'"q"', b'"a\xed\xa0\x80b"') + b"\n", ["a\ufffdb"]),
        (GOOD.replace(b'"q"', b'"\\ud83d\\ude00"') + b"\n", ["\U0001f600"]),
    ],
)
def test_unusual_text_is_read(tmp_path: Path, content: bytes, queries: list[str]) -> None:
    file = tmp_path / "states.jsonl"
    file.write_bytes(content)
    assert [state.query for state in jsonl.read(file, State)] == queries


def test_what_is_nested_as_deep_as_it_may_be_is_read(tmp_path: Path) -> None:
    file = tmp_path / "states.jsonl"
    file.write_bytes(GOOD[:-1] + b', "n": ' + b"[" * 199 + b"]" * 199 + b', "m": [' + b"[]," * 300 + b"[]]}")
    assert [len(state.metadata["m"]) for state in jsonl.read(file, State)] == [301]


def test_a_long_line_is_read(tmp_path: Path) -> None:
    file = tmp_path / "states.jsonl"
    file.write_bytes(GOOD.replace(b'"q"', b'"' + b"x" * 5_000_000 + b'"') + b"\n" + GOOD)
    assert [len(state.query) for state in jsonl.read(file, State)] == [5_000_000, 1]


def test_a_byte_range_gives_the_lines_that_begin_in_it(tmp_path: Path) -> None:
    file = tmp_path / "states.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + b"".join(b'{"n": %d}\r\n' % n for n in range(5)))
    every = list(jsonl.lines(file))
    assert [line.raw for line in every] == [b'{"n": %d}' % n for n in range(5)]
    assert [line.end for line in every] == [line.offset for line in every[1:]] + [file.stat().st_size]
    parts = [list(jsonl.lines(file, line.offset, line.end)) for line in every]
    assert [part[0].raw for part in parts] == [line.raw for line in every]
    assert {len(part) for part in parts} == {1}


def test_replace_leaves_the_old_file_when_the_block_fails(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    file.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), jsonl.replace(file) as new:
        new.write(b"%d" % (1 // (new.write(b"new") - 3)))
    assert file.read_bytes() == b"old"
    with jsonl.replace(file) as new:
        new.write(b"new")
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new"
    assert not list(tmp_path.glob(".*"))


def test_raw_data_is_never_written(tmp_path: Path) -> None:
    raw = tmp_path / "data/external"
    raw.mkdir(parents=True)
    (tmp_path / "link.jsonl").symlink_to(raw / "a.jsonl")
    (tmp_path / "elsewhere").symlink_to(raw)
    for path in (raw / "a.jsonl", raw / "deep/a.jsonl", tmp_path / "data/logs/../external/a.jsonl"):
        with pytest.raises(UsageError, match="is never written"):
            jsonl.Appender(path)
    for path in (tmp_path / "link.jsonl", tmp_path / "elsewhere/a.jsonl"):
        with pytest.raises(UsageError, match="is never written"), jsonl.replace(path):
            pass
    assert not list(raw.iterdir())


def test_raw_data_behind_a_symlink_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/external").symlink_to(tmp_path / "disk")
    with pytest.raises(UsageError, match="is never written"):
        jsonl.Appender(tmp_path / "data/external/a.jsonl")


@pytest.mark.parametrize("path", ["/dev/null", "/dev/full", "."])
def test_only_plain_files_are_written(path: str) -> None:
    with pytest.raises(UsageError, match="is not a plain file"):
        jsonl.Appender(Path(path))
    with pytest.raises(UsageError, match="is not a plain file"), jsonl.replace(Path(path)):
        pass


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        jsonl.Appender(tmp_path / "file/out.jsonl")


def test_symlinked_outputs_keep_working(tmp_path: Path) -> None:
    target = tmp_path / "disk/out.jsonl"
    target.parent.mkdir()
    target.write_bytes(b"old\n")
    link = tmp_path / "out.jsonl"
    link.symlink_to(target)
    with jsonl.replace(link) as file:
        file.write(b"new\n")
    appender = jsonl.Appender(link)
    appender.write(b"more\n")
    appender.close()
    assert link.is_symlink()
    assert target.read_bytes() == b"new\nmore\n"


WRITER = """
import sys
from pathlib import Path
from proact import jsonl
with jsonl.replace(Path(sys.argv[1])) as file:
    file.write(b"first\\n")
    print("open", flush=True)
    sys.stdin.readline()
"""


def test_a_file_that_is_not_there_yet_has_one_writer(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    command = [sys.executable, "-c", WRITER, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout
        assert first.stdout.readline() == "open\n"
        with pytest.raises(OutputError, match="another proact command"), jsonl.replace(file):
            pass
        first.communicate("\n")
    assert file.read_bytes() == b"first\n"
    assert not list(tmp_path.glob(".*"))


def test_a_locked_file_is_refused_by_both_writers(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    first = jsonl.Appender(file)
    first.write(b"kept\n")
    with pytest.raises(OutputError, match="another proact command"):
        jsonl.Appender(file)
    with pytest.raises(OutputError, match="another proact command"), jsonl.replace(file):
        pass
    first.close()
    assert file.read_bytes() == b"kept\n"
    assert not list(tmp_path.glob(".*"))
