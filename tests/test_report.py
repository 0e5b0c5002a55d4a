"""The page: nothing in it runs but its own script, and it works with keys alone and on a telephone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browsing import CONTRAST, MISSING, Page, opened
from evaluation import earned, played
from selenium.webdriver.common.keys import Keys
from support import Row, persona, run, succeeded, write_lines

from proact.report.browser import Browser, safe_json
from proact.stages import eval as stage

EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
HOSTILE = f"</script>{EVIL}<!-- {{{{ 7 * 7 }}}} ]]> \u2028 \"'&amp; "
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
browser = pytest.mark.browser


def conversations(tasks: int) -> tuple[list[Row], list[Row]]:
    """Two methods on so many tasks, each line with its other branch; texts, names and ids are hostile."""
    lines, rewards = [], []
    for number in range(tasks):
        for method in ("asks", f"acts{EVIL}"):
            ask = ("Clarify", {"answered_clarification": 1, "satisfaction": 0.8})
            act = ("Execute", {"satisfaction": 0.6})
            query = f"Sort list {number}. {HOSTILE}"
            asked = [query, "Which order?", "Ascending.", f"```python\nsorted(x)  # {EVIL}\n```"]
            answered = [query, f"Sorted. {HOSTILE}"]
            main, other = ((asked, [ask, act]), (answered, [act]))[:: 1 if method == "asks" else -1]
            name = f"T{number}{EVIL}" if number == 0 else f"T{number}"
            row = played(method, name, *main, persona=persona(f"pat{EVIL}" if number % 2 else "sam"))
            branch = {
                **played(method, name, *other),
                "branch": "other",
                "is_mainline": False,
                "persona": row["persona"],
            }
            branch["id"] = f"{row['group']}/other"
            lines += [row, branch]
            for line, solved in ((row, float(number % 3 > 0)), (branch, 1.0)):
                asks = line["action"] == "Clarify"
                counts = {"n_questions": 1, "n_clarify": 1, "answered": 1} if asks else {}
                rewards.append(earned(line, solved, 0.08 if asks else 0.0, "pass" if solved else "fail", **counts))
    return lines, rewards


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    lines, rewards = conversations(40)
    files = write_lines(folder / "t.jsonl", lines), write_lines(folder / "r.jsonl", rewards)
    arguments = ("eval", files[0], "--rewards", files[1], "--out", folder / "eval")
    succeeded(run(*arguments, PROACT_CACHE_DIR=str(folder / "cache")))
    return folder / "eval/report.html"


@pytest.fixture(scope="module")
def wide(report: Path) -> Iterator[Page]:
    if MISSING:
        pytest.skip(MISSING)
    with opened(report) as page:
        yield page


@pytest.fixture
def page(wide: Page) -> Page:
    """The page in a wide window, as it is when it has just been opened."""
    wide.run("history.replaceState(null, '', location.pathname)")
    wide.driver.refresh()
    return wide


class Elements(HTMLParser):
    """What a browser would make of the page's markup."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_no_text_becomes_markup_and_nothing_is_fetched(report: Path) -> None:
    text = report.read_text("utf-8")
    tags = Elements(text).tags
    scripts = [attributes for tag, attributes in tags if tag == "script"]
    assert [one for one in scripts if one.get("type") != "application/json"] == [{}]
    assert {tag for tag, _ in tags}.isdisjoint({"img", "link", "iframe", "object", "embed", "base"})
    assert not any("src" in attributes for _, attributes in tags)
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    links = [str(attributes["href"]) for tag, attributes in tags if tag == "a"]
    assert all(link.startswith("#") for link in links)
    assert not re.findall(r"url\(\s*['\"]?(?!#)|@import", text)
    assert "49" not in re.findall(r"\{\{.*?\}\}", text)
    policy = next(attributes["content"] for tag, attributes in tags if tag == "meta" and "http-equiv" in attributes)
    assert "default-src 'none'" in str(policy)


def test_json_cannot_end_the_element_that_holds_it() -> None:
    text = safe_json({"text": HOSTILE})
    assert "<" not in text
    assert json.loads(text) == {"text": HOSTILE}


def test_models_settings_and_cost_are_on_the_page(report: Path) -> None:
    text = report.read_text("utf-8")
    for word in ("openai:test", "default@1", "Prompt tokens", "What it took", "r.jsonl"):
        assert word in text


@browser
def test_an_injected_script_did_not_run(page: Page) -> None:
    assert page.run("return window.pwned") is None
    for name in range(3):
        page.run(f"document.querySelectorAll('.row')[{name}].click()")
        page.click("#side")
        page.click("#side")
    page.until("#detail", "<script>window.pwned")
    assert page.run("return window.pwned") is None
    assert page.errors() == []
    assert page.run("return performance.getEntriesByType('resource').length") == 0


@browser
def test_filters_and_search_choose_conversations(page: Page) -> None:
    assert page.count() == "80 of 80 conversations"
    page.choose("method", "asks")
    assert page.count() == "40 of 80 conversations"
    page.choose("action", "Execute")
    assert page.count() == "0 of 80 conversations"
    page.choose("action", "Clarify")
    page.choose("outcome", "not solved")
    assert page.count() == "14 of 80 conversations"
    page.choose("persona", "sam")
    assert page.count() == "7 of 80 conversations"
    page.click("#reset")
    page.until("#count", "80 of 80")
    page.find("#search").send_keys("ascending list 17.")
    page.until("#count", "2 of 80")
    assert {row.text.splitlines()[2].split(" · ")[-1] for row in page.all(".row")} == {"T17"}
    page.find("#search").send_keys(" nobody-says-this")
    page.until("#count", "0 of 80")


@browser
def test_branches_stand_side_by_side_with_their_rewards(page: Page) -> None:
    page.choose("method", "asks")
    page.choose("outcome", "not solved")
    page.click(".row")
    assert "Which order?" in page.find("#detail").text
    page.click("#side")
    one, other = page.all(".branch")
    assert (one.rect["y"], one.rect["x"] < other.rect["x"]) == (other.rect["y"], True)
    assert "mainline: Clarify" in one.text
    assert "other: Execute" in other.text
    sums = [row.text.split()[-1] for row in page.all(".branch .sum")]
    assert sums == ["−0.080", "1.000"]
    assert "questions 1 × −0.08 −0.080" in one.text
    page.click("#side")
    assert page.all(".branch") == []


@browser
def test_the_page_can_be_used_with_keys_alone(page: Page) -> None:
    page.press("/")
    assert page.run("return document.activeElement.id") == "search"
    page.press(Keys.ESCAPE)
    assert page.run("return document.activeElement.id") == "list"
    page.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert page.find("[aria-selected=true]").get_attribute("id") == "row-2"
    assert page.find("#list").get_attribute("aria-activedescendant") == "row-2"
    page.press(Keys.END)
    assert page.find("[aria-selected=true]").get_attribute("id") == "row-79"
    page.press(Keys.ENTER)
    assert page.run("return document.activeElement.id") == "detail"
    page.press("b")
    assert len(page.all(".branch")) == 2
    page.press(Keys.ESCAPE)
    assert page.run("return document.activeElement.id") == "list"
    address = page.run("return location.href")
    page.driver.refresh()
    assert page.run("return location.href") == address
    assert page.find("[aria-selected=true]").get_attribute("id") == "row-79"


@browser
@pytest.mark.parametrize("dark", [False, True])
def test_every_text_can_be_read_on_its_ground(report: Path, dark: bool) -> None:
    if MISSING:
        pytest.skip(MISSING)
    with opened(report, dark=dark) as page:
        page.click(".row")
        assert page.run(CONTRAST) == []
        page.click("#side")
        assert page.run(CONTRAST) == []
        page.click("#theme")
        assert page.run("return document.documentElement.dataset.theme") == ("light" if dark else "dark")
        assert page.run(CONTRAST) == []


@browser
def test_a_telephone_needs_no_sideways_scrolling(report: Path) -> None:
    if MISSING:
        pytest.skip(MISSING)
    with opened(report, width=375, height=800) as page:
        assert page.sideways() <= 0
        page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.sideways() <= 0
        page.click(".row")
        assert page.sideways() <= 0
        page.click("#side")
        one, other = page.all(".branch")
        assert one.rect["x"] == other.rect["x"]
        assert page.sideways() <= 0


class Many(Browser):
    """The same conversations over and over."""

    def entries(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        few = super().entries()
        found = []
        for number in range(10_000):
            head, body = few[number % len(few)]
            text = f"Task {number}: {head['text']}"
            found.append(({**head, "id": f"c{number}", "task": f"T{number}", "text": text}, body))
        return found


@browser
def test_ten_thousand_conversations_do_not_freeze_the_page(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if MISSING:
        pytest.skip(MISSING)
    monkeypatch.setattr(stage, "Browser", Many)
    folder, out = report.parent.parent, report.parent.parent / "many"
    sources = [(str(folder / "t.jsonl"), "")]
    stage.EvalRun(stage.Settings(sources=sources, rewards=[str(folder / "r.jsonl")], out=str(out), plot=False)).run()
    started = time.monotonic()
    with opened(out / "report.html") as page:
        assert time.monotonic() - started < 20
        assert page.count() == "10000 of 10000 conversations"
        assert len(page.all(".row")) < 60
        scrolled = "const t = performance.now(); const l = document.getElementById('list'); l.scrollTop = 4e5;"
        assert page.run(f"{scrolled} l.dispatchEvent(new Event('scroll')); return performance.now() - t") < 200
        assert len(page.all(".row")) < 60
        # The search reads texts in slices; in between, the page must answer.
        page.run(
            "window.slow = 0; new PerformanceObserver((list) => list.getEntries().forEach((one) => {"
            " window.slow = Math.max(window.slow, one.duration); })).observe({ type: 'longtask' });"
        )
        page.find("#search").send_keys("T9998 ascending")
        page.until("#count", "1 of 10000")
        assert page.run("return window.slow") < 500
        assert page.errors() == []
