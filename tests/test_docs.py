"""What the documentation says is what the code does."""

from __future__ import annotations

from pathlib import Path

import generated

ROOT = Path(__file__).parent.parent


def test_the_page_of_formats_is_made_from_the_records() -> None:
    assert (ROOT / "data/README.md").read_text("utf-8") == generated.formats(), "run `make docs`"


def test_every_row_of_a_table_of_formats_is_one_line() -> None:
    tables = [line for line in generated.formats().splitlines() if line.startswith("| `")]
    assert all(line.endswith(" |") for line in tables)
    assert any("`branch`" in line and "oracle (all facts given). |" in line for line in tables)


def test_the_help_texts_in_the_readme_are_those_of_the_commands() -> None:
    assert (ROOT / "README.md").read_text("utf-8") == generated.readme(), "run `make docs`"
