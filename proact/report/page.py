"""Writes report.html: the template filled with a result, its pictures and its conversations."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

from proact import jsonl
from proact.errors import UsageError
from proact.report import tables
from proact.report.browser import Browser, chunks, safe_json


def write(path: Path, result: dict[str, Any], browser: Browser, pictures: dict[str, str]) -> None:
    """The page as one file. Raises UsageError without jinja2."""
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise UsageError("the report needs jinja2: pip install 'proact[eval]'") from None
    environment = Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    names = ("number", "ends", "counts", "label", "agreement", "figure")
    environment.globals.update({name: getattr(tables, name) for name in names})
    environment.globals["matrix"] = getattr(environment.get_template("matrix.html").module, "matrix")  # noqa: B009
    entries = browser.entries()
    script = _file("browser.js")
    pieces = environment.get_template("page.html").generate(
        result=result,
        style=Markup(_file("style.css")),
        script=Markup(script),
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        pictures={name: Markup(svg) for name, svg in pictures.items()},
        sections=_sections(result, pictures),
        summary=tables.summary(result),
        rows=tables.comparison_rows(result),
        policies=_policies(result),
        ask_rows=tables.ask_rows(_policies(result)),
        settings=tables.settings_rows(result),
        index=Markup(safe_json([head for head, _ in entries])),
        chunks=map(Markup, chunks(entries)),
        shown=len(entries),
        total=len(browser.rows),
    )
    with jsonl.replace(path) as file:
        file.writelines(piece.encode() for piece in pieces)


def _file(name: str) -> str:
    return (resources.files("proact.report") / name).read_text("utf-8")


def _policies(result: dict[str, Any]) -> dict[str, Any]:
    return {method: one["policy"] for method, one in result["per_method"].items() if one["policy"]}


def _sections(result: dict[str, Any], pictures: dict[str, str]) -> list[tuple[str, str]]:
    found = [("summary", "Summary")]
    if "pareto" in pictures:
        found.append(("front", "Success against interruption"))
    found.append(("comparison", "Comparison"))
    if _policies(result):
        found.append(("policies", "When each asks"))
    if result["diagnoses"]:
        found.append(("worth", "Worth of a question"))
    if result["agreement"]:
        found.append(("reliability", "Judges"))
    return [*found, ("cost", "Cost"), ("settings", "Settings"), ("conversations", "Conversations")]
