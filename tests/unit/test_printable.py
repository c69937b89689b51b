"""Nothing that anybody wrote reaches a terminal or a log raw: controls and bidi marks are escaped, markup is text."""

import io
import json
import logging
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from secondlook.cli.__main__ import main
from secondlook.cli.output import cell, note, say, shortened, show_json, show_lines, show_table
from secondlook.cli.terminal import Terminal, fail
from secondlook.common.observability import configure_logging
from secondlook.common.printable import printable, printable_json

CONTROLS = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Zl", "Zp", "Cs")]
HOSTILE = "\x1b[2J\x1b]0;title\x07 \u202eevil\u2066\u200f\u061c\u2028\u2029\x85\x9b31m\x7f [red]red[/] [/]"
RAW = set(CONTROLS) - {"\n"}


def shows(text: str) -> bool:
    """Whether the text holds nothing raw, and the hostile text with its brackets, visibly escaped."""
    return not RAW & set(text) and "\\u202e" in text and "[red]red[/] [/]" in text


def test_every_control_and_mark_is_escaped() -> None:
    for character in CONTROLS:
        shown = printable(f"a{character}b")
        assert shown.isascii(), hex(ord(character))
        assert shown.isprintable(), hex(ord(character))
        assert shown.startswith("a\\")
    assert printable("\u202e") == "\\u202e"
    assert printable("Größe 🎉 ключ") == "Größe 🎉 ключ"


@given(st.text(st.characters(codec=None, categories=None)))
def test_printable_is_printable_and_changes_nothing_that_is(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_printable_json_says_the_same(value: Any) -> None:
    document = printable_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(document) == value
    assert not RAW & set(document)


WAYS: dict[str, Callable[[], object]] = {
    "say": lambda: say(HOSTILE),
    "note": lambda: note(HOSTILE, "yellow"),
    "a line to read back": lambda: show_lines(HOSTILE),
    "JSON": lambda: show_json({HOSTILE: [HOSTILE]}),
    "a table": lambda: show_table((HOSTILE,), [(HOSTILE,)], "none"),
    "an empty table": lambda: show_table(("a",), [], HOSTILE),
    "a cell": lambda: say(cell(HOSTILE)),
    "a shortened text": lambda: say(shortened(HOSTILE, 500)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_printing_is_safe(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    WAYS[way]()
    out, err = capsys.readouterr()
    assert shows(out + err)


def test_an_error_is_safe(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail(HOSTILE)
    assert shows(capsys.readouterr().err)


def test_a_terminal_shows_strings_as_they_are() -> None:
    def drawn(draw: Callable[[Terminal], object]) -> str:
        terminal = Terminal(file=io.StringIO(), force_terminal=False, width=500)
        draw(terminal)
        assert isinstance(terminal.file, io.StringIO)
        return terminal.file.getvalue()

    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    assert shows(drawn(lambda terminal: terminal.print(HOSTILE)))
    assert shows(drawn(lambda terminal: terminal.print(table)))

    def wait(terminal: Terminal) -> None:
        with terminal.status(HOSTILE) as status:
            terminal.print(status.renderable.text)
            status.update(HOSTILE)
            terminal.print(status.renderable.text)

    assert shows(drawn(wait))


COMMANDS = [
    [HOSTILE], [f"--{HOSTILE}"], ["publish", f"/nowhere/{HOSTILE}"], ["publish", "-", f"--{HOSTILE}"],
    ["publish", "x", HOSTILE], ["labels", "import", f"/nowhere/{HOSTILE}"], ["labels", HOSTILE],
    ["policy", "check", f"/nowhere/{HOSTILE}"], ["policy", "show", "--version", HOSTILE],
    ["decisions", "export", "--since", HOSTILE], ["decisions", "export", "--format", HOSTILE],
    ["dead-letters", "requeue", HOSTILE, "--data-dir", "/nowhere"], ["dead-letters", "list", "--data-dir", HOSTILE],
    ["dead-letters", "list", "--service", HOSTILE], ["bundle", "show", HOSTILE, "--data-dir", "/nowhere"],
    ["bundle", "promote", HOSTILE, "--data-dir", HOSTILE],
    ["keys", "create", HOSTILE, "--role", "lead", "--data-dir", HOSTILE],
    ["keys", "revoke", HOSTILE, "--data-dir", HOSTILE], ["quality", "--data-dir", HOSTILE],
    ["audits", "--data-dir", HOSTILE], ["reviewers", "--data-dir", HOSTILE], ["train", "--data-dir", HOSTILE],
    ["up", "--for", HOSTILE], ["up", "--port", HOSTILE], ["migrate", "--database-url", HOSTILE],
    ["carry-over", "--data-dir", HOSTILE], ["router", HOSTILE], ["trainer", HOSTILE], ["reviewer-api", HOSTILE],
]  # fmt: skip


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda a: " ".join(a[:2]).replace(HOSTILE, "…"))
def test_no_command_repeats_what_it_was_given_raw(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["secondlook", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code not in (0, None)
    assert not RAW & set(out + err), "raw"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Configures a log of this test's own; the function returns what was written to it so far."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, before = root.handlers[:], structlog.get_config()

    def read(form: str) -> Callable[[], str]:
        root.handlers.clear()
        monkeypatch.setattr(sys, "stderr", stream)
        configure_logging("test", "info", form)
        return stream.getvalue

    yield read
    root.handlers[:] = handlers
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_log_line_holds_anything_raw(form: str, logged: Callable[[str], Callable[[], str]]) -> None:
    read = logged(form)
    log = structlog.get_logger()

    class Odd:
        def __repr__(self) -> str:
            return HOSTILE

    for value in (HOSTILE, {HOSTILE: HOSTILE}, [HOSTILE], Odd(), HOSTILE.encode("utf-8", "surrogatepass")):
        log.info("event", value=value)
    log.info(HOSTILE, **{HOSTILE: "x"})
    logging.getLogger("library").warning("%s and\na line of its own", HOSTILE)
    try:
        raise ValueError(HOSTILE + "\n2026-01-01 forged line")
    except ValueError:
        log.exception("failed", key=HOSTILE)
    written = read()
    assert not RAW & set(written)
    assert "\\u202e" in written
    assert "\na line of its own" not in written
    assert "\n2026-01-01 forged" not in written
    if form == "json":
        lines = [json.loads(line) for line in written.splitlines()]
        assert len(lines) == 8
        values = json.dumps(lines, ensure_ascii=False)
        assert not (RAW & set(values)), "nor after JSON is read"
