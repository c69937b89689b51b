"""The command line itself: help, names, and what a command may print."""

import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from services.cli.__main__ import COMMANDS, app, load
from services.cli.output import cell, printable, say, show_table
from services.cli.workspace import guarded
from services.common.errors import ConfigurationError


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(f"\n  {name} " in result.output for name in COMMANDS)


def test_help_is_fast() -> None:
    def measure() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "services.cli", "--help"], check=True, capture_output=True)
        return time.perf_counter() - started

    assert min(measure() for _ in range(3)) < 0.5


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_explains_itself(name: str) -> None:
    loaded = load(COMMANDS[name][0])
    assert isinstance(loaded, typer.Typer)
    assert get_command(loaded).help
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f" {name} " in result.output.splitlines()[0]


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output.split()[0]) == (0, "secondlook")


def test_no_arguments_show_help() -> None:
    assert "Commands:" in CliRunner().invoke(app, []).output


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["policy", "nonsense"], ["publish"], ["publish", "x", "--nonsense"]]
)
def test_a_wrong_call_is_a_usage_error(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert "Traceback" not in result.output


def raiser(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ConfigurationError("[/bold] is no markup [red]"), 2, "error: [/bold] is no markup [red]"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ConnectionRefusedError("no server"), 2, "no server"),
    ],
)
def test_errors_are_one_line(error: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        guarded(lambda: raiser(error))
    assert stopped.value.code == status
    assert capsys.readouterr().err.strip().endswith(said)


def test_a_fault_of_the_program_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 / 0)


def test_nothing_printed_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("a\x1b[31mb\nc") == "a\\x1b[31mb\\nc"
    assert cell(None) == ""
    assert cell(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02 03:04:05Z"
    say("\x1b]0;title\x07 [red]x[/]")
    show_table(("key",), [("\x1b[2J",)], "none")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "[red]x[/]" in printed


def test_a_table_in_a_pipe_has_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("a", "b"), [("x" * 300, "y" * 300), ("1", "2")], "none")
    assert len(capsys.readouterr().out.splitlines()) == 3
    show_table(("a",), [], "nothing here")
    assert capsys.readouterr().out == "nothing here\n"
