"""What every test gets: an empty working folder, a cache of its own, and no key."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import Cli, Server, Zygote, run

from proact.sandbox import Sandbox

SKIPPED: list[str] = []


def pytest_configure() -> None:
    """A shell starts what runs in its background with Ctrl-C ignored, and every process under it would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("shared") and not os.environ.get("PROACT_SHARED"):
        pytest.skip("data: PROACT_SHARED does not name the folder of the real data sets")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note_skip(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note_skip(report)


def _note_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    # .ci/run names the folder of the data wherever it is there.
    if not reason.removeprefix("Skipped: ").startswith(("hardware:", "data:")):
        SKIPPED.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    # On the build machine everything is installed: a skipped test there is a test that nobody runs.
    if SKIPPED and os.environ.get("CI") == "true" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if SKIPPED and os.environ.get("CI") == "true":
        terminalreporter.section("skipped where nothing may be skipped")
        for line in SKIPPED:
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty working folder of a test, beside its cache and apart from its tmp_path."""
    place = tmp_path_factory.mktemp("test")
    work = place / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("PROACT_CACHE_DIR", str(place / "cache"))
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
    return work


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    running = Zygote(tmp_path_factory.mktemp("zygote"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Runs the command line with the libraries of training already imported, which takes seconds."""
    running = Zygote(tmp_path_factory.mktemp("learner"), "trl", "trl.trainer.dpo_trainer", "peft", "datasets")
    yield running
    running.close()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model, for tests that train it."""
    pytest.importorskip("torch")
    from tiny import tiny_model

    return tiny_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def cli(zygote: Zygote) -> Cli:
    """Runs the command line as a process of its own."""
    return zygote


@pytest.fixture
def fresh_cli() -> Cli:
    """The same with a new interpreter, where imports or hash seeds matter."""
    return run


@pytest.fixture
def shared() -> Path:
    """The folder of the real data sets; for tests that are marked `shared`."""
    return Path(os.environ["PROACT_SHARED"])


@pytest.fixture
def server() -> Iterator[Server]:
    """An OpenAI-compatible server on this machine that answers every request with `server.answer(body)`."""
    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for all tests that only run programs."""
    with Sandbox(2) as opened:
        yield opened


@pytest.fixture
def own_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files that only this test uses, and that anybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="own-"))
    folder.chmod(0o777)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def processes(own_folder: Path) -> Callable[[], list[str]]:
    """A function that lists the sandbox processes which work below the test's own folder."""
    return lambda: _processes(own_folder)


def _processes(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if b"start.py" in text and f"{folder}/".encode() in text:
            found.append(process.name)
    return found
