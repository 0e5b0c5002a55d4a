"""The command line: one function per subcommand, and the only error handler."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Annotated

import typer
from typer import Option

from proact import __version__, console
from proact.cli import compare, learn, look, play, rounds, score
from proact.errors import ProactError, UsageError

app = typer.Typer(
    help="Know what a question is worth: simulate, score, pair, train and compare when to ask and when to act.",
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-"), "max_content_width": 100},
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="The embedded language model.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(models_app, name="models")


def main() -> None:
    """Run the command line; everything that proact raises on purpose becomes one line and an exit code."""
    sys.unraisablehook = _unraisable
    try:
        for argument in sys.argv[1:]:
            _readable(argument)
        app()
    except ProactError as error:
        _end(f"proact: {error}", error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        from proact.registry import plugin_frame

        place = plugin_frame(error)
        if place is None:
            raise
        _end(f"proact: {place[0]}:{place[1]}: the plugin failed: {type(error).__name__}: {error}", 2)


def _readable(argument: str) -> None:
    """Raises UsageError for bytes that are no text, which no record and no file name in one can hold."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{os.fsencode(argument).decode(errors='replace')}: is not UTF-8") from None


def _unraisable(ignored: sys.UnraisableHookArgs) -> None:
    """A Ctrl-C that a destructor or an import lock swallowed comes again, from a thread so that it arrives later."""
    if ignored.exc_type is KeyboardInterrupt:
        threading.Timer(0.01, os.kill, [os.getpid(), signal.SIGINT]).start()
    else:
        sys.__unraisablehook__(ignored)


def _end(message: str, code: int) -> None:
    console.note(message)
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"proact {__version__}")
        raise typer.Exit


@app.callback()
def proact(
    version: Annotated[bool, Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


app.command()(play.generate)
app.command()(score.judge)
app.command()(score.reward)
app.command()(score.diagnose)
app.command(name="eval")(compare.evaluate)
app.command()(learn.train)
app.command()(learn.export)
app.command()(rounds.iterate)
app.command()(compare.sweep)
app.command()(compare.explain)
app.command()(look.convert)
app.command()(look.world)
app.command()(look.validate)
app.command()(look.audit)
app.command()(look.doctor)
models_app.command()(look.fetch)
