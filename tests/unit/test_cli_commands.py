"""The command line itself: help, names, and what a command may print."""

import io
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

from secondlook.cli.application import COMMANDS, app, load
from secondlook.cli.local.checks import check_disk
from secondlook.cli.output import cell, say, shortened, show_table
from secondlook.cli.terminal import guarded
from secondlook.common.errors import ConfigurationError
from secondlook.common.printable import printable


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(f"\n  {name} " in result.output for name in COMMANDS)


def test_help_is_fast() -> None:
    def measure() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "secondlook.cli", "--help"], check=True, capture_output=True)
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
        (IsADirectoryError(21, "Is a directory", "/x/run.json"), 2, "error: /x/run.json is a directory, not a file"),
        (FileExistsError(17, "File exists", "/x"), 2, "error: /x is not a directory"),
        (OSError(28, "No space left on device", "/x"), 2, "error: /x cannot be used: No space left on device"),
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


def test_long_text_is_cut_and_stays_printable() -> None:
    assert shortened("a" * 80, 80) == "a" * 80
    assert shortened("a" * 1_000_000, 80) == "a" * 79 + "…"
    assert len(shortened("\x1b" * 1_000, 80)) == 80


@pytest.mark.parametrize("width", [60, 100])
def test_a_column_that_must_stay_whole_is_not_folded_on_a_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr("secondlook.cli.output.console", terminal)
    show_table(("id", "key", "detail"), [("content.submitted/0/123456789", "k" * 80, "d " * 40)], "none", whole=("id",))
    assert "content.submitted/0/123456789" in screen.getvalue()


def test_an_empty_data_dir_is_refused() -> None:
    for arguments in (["keys", "list"], ["doctor"], ["publish", "x.jsonl", "--url", "http://r", "--key", "k"]):
        result = CliRunner().invoke(app, [*arguments, "--data-dir", ""])
        assert (result.exit_code, result.output) == (2, "error: --data-dir is empty: name a directory\n")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("folder", "folder/run.json is a directory, not a file"),
        ("file", "file is not a directory, or lies below a file"),
        ("file/below", "file/below is not a directory, or lies below a file"),
        ("loop", "loop/run.json is a link to itself"),
        ("x" * 300, "xxx/run.json is too long"),
    ],
)
def test_a_data_dir_that_cannot_be_used_is_one_line(tmp_path: Path, path: str, problem: str) -> None:
    (tmp_path / "folder" / "run.json").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    result = CliRunner().invoke(app, ["keys", "list", "--data-dir", str(tmp_path / path)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Errno" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    if len(str(tmp_path / path)) < 300:
        assert result.stderr.endswith(f"{problem}\n")
    doctor = CliRunner().invoke(app, ["doctor", "--data-dir", str(tmp_path / path)])
    assert doctor.exit_code == 1
    assert isinstance(doctor.exception, SystemExit)


def test_a_disk_that_cannot_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert check_disk(tmp_path / "loop").state == "broken"
    assert check_disk(tmp_path / ("x" * 300)).state == "broken"
    assert check_disk(tmp_path / "not" / "yet").state != "broken" or "make room" in check_disk(tmp_path).todo
