"""JSON Lines, and JSON arrays whose elements are read one at a time."""

import json
from collections.abc import Iterator
from typing import Any, TextIO

from secondlook.cli.files.formats.encodings import refuse_unreadable
from secondlook.cli.files.formats.table import MAX_LINE, Table, TableRow, Values
from secondlook.cli.output import shortened
from secondlook.common.errors import ConfigurationError, InvalidInput

CHUNK = 64 * 1024
_BLANK = " \t\r\n\ufeff"


class _NamedTwice(ValueError):
    """An object has two members of one name: to keep one of them would lose the other."""


def _members(pairs: list[tuple[str, Any]]) -> Values:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _NamedTwice(next(name for name in names if names.count(name) > 1))
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_members)


def json_lines(text: TextIO, shown: str, encoding: str) -> Table:
    """One object a line. Empty lines count, but are no rows.

    Raises, while rows are read:
        ConfigurationError: the first line is not an object, so that the file is something else.
    """
    return Table("JSON Lines", None, _first_is_an_object(_lines(text, encoding), shown, "JSON Lines"))


def json_array(text: TextIO, shown: str, encoding: str) -> Table:
    """The elements of one array, of which only one is in memory. Behind one that is not JSON nothing can be read."""
    return Table("JSON array", None, _first_is_an_object(_elements(text, encoding), shown, "an array of JSON objects"))


def _first_is_an_object(rows: Iterator[TableRow], shown: str, what: str) -> Iterator[TableRow]:
    for count, row in enumerate(rows):
        if count == 0 and isinstance(row.values, InvalidInput) and row.values.reason != "invalid":
            kinds = "it can be JSON Lines, a JSON array, CSV or Parquet"
            raise ConfigurationError(f"{shown} is not {what}: line {row.line} {row.values} ({kinds})")
        yield row


def _lines(text: TextIO, encoding: str) -> Iterator[TableRow]:
    number = 0
    while line := text.readline(MAX_LINE):
        number += 1
        if len(line) >= MAX_LINE and not line.endswith("\n"):
            while (rest := text.readline(MAX_LINE)) and not rest.endswith("\n"):
                pass
            yield TableRow(number, number, _too_long())
        elif blankless := line.strip(_BLANK):
            yield TableRow(number, number, _object(blankless, encoding))


def _too_long() -> InvalidInput:
    return InvalidInput(f"is longer than {MAX_LINE} characters", reason="too_large")


def _object(text: str, encoding: str) -> Values | InvalidInput:
    try:
        refuse_unreadable(text, encoding)
        return _trimmed(_DECODER.decode(text))
    except InvalidInput as error:
        return error
    except json.JSONDecodeError as error:
        return InvalidInput(f"is not JSON: {error.msg} at column {error.colno}", reason="malformed")
    except _NamedTwice as error:
        return _twice(str(error))
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets thousands deep
        return InvalidInput("is not JSON that can be read", reason="malformed")


def _twice(name: str) -> InvalidInput:
    return InvalidInput(f"has the field {shortened(name, 100)!r} more than once; keep one of them")


def _trimmed(value: Any) -> Values | InvalidInput:
    if not isinstance(value, dict):
        return InvalidInput("is not a JSON object", reason="malformed")
    if all(name == name.strip() for name in value):
        return value
    names = [name.strip() for name in value]
    twice = next((name for name in names if names.count(name) > 1), None)
    return dict(zip(names, value.values(), strict=True)) if twice is None else _twice(twice)


def _elements(text: TextIO, encoding: str) -> Iterator[TableRow]:
    """Each element between the brackets; at what is not JSON the reading ends, with a row that says so."""
    held = _Held(text)
    held.skip(_BLANK)
    held.take(1)  # the bracket, which told the format
    number = 0
    while True:
        held.skip(_BLANK + ("," if number else ""))
        if held.begins_with("]"):
            held.take(1)
            held.skip(_BLANK)
            if held.more():
                yield TableRow(number + 1, held.line, _ended("there is more after the array"))
            return
        number += 1
        line = held.line
        try:
            element = held.element()
        except _NamedTwice as error:
            yield TableRow(number, line, _ended(str(_twice(str(error)))))
            return
        except InvalidInput as error:
            yield TableRow(number, line, error)
            return
        try:
            refuse_unreadable(element[1], encoding)
            yield TableRow(number, line, _trimmed(element[0]))
        except InvalidInput as error:
            yield TableRow(number, line, error)


def _ended(why: str) -> InvalidInput:
    return InvalidInput(f"{why}; nothing behind this was read", reason="malformed")


class _Held:
    """The part of a text that is in memory, and the line at which it begins."""

    def __init__(self, text: TextIO) -> None:
        self._text, self._held, self._over = text, "", False
        self.line = 1

    def more(self) -> bool:
        """Read on; False at the end if nothing is held."""
        if not self._over:
            chunk = self._text.read(max(CHUNK, len(self._held)))
            self._over = not chunk
            self._held += chunk
        return bool(self._held)

    def begins_with(self, character: str) -> bool:
        return bool(self._held or self.more()) and self._held.startswith(character)

    def take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        self.line += taken.count("\n")
        return taken

    def skip(self, characters: str) -> None:
        while self._held or self.more():
            rest = self._held.lstrip(characters)
            self.take(len(self._held) - len(rest))
            if rest or self._over:
                return

    def element(self) -> tuple[Any, str]:
        """The element at which the held part begins, and its text.

        Raises:
            InvalidInput: it is not JSON, the file ends in it, or it is longer than MAX_LINE.
            _NamedTwice: an object in it names a member twice.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held)
                if end < len(self._held) or self._over:  # else a number may go on
                    return value, self.take(end)
            except json.JSONDecodeError as error:
                if self._over:
                    line = self.line + self._held.count("\n", 0, error.pos)
                    problem = (
                        "the file ends" if error.pos >= len(self._held.rstrip()) else f"{error.msg} in line {line}"
                    )
                    raise _ended(f"is not JSON: {problem}") from error
            except _NamedTwice:
                raise
            except (ValueError, RecursionError) as error:
                raise _ended("is not JSON that can be read") from error
            if len(self._held) > MAX_LINE:
                raise _ended(f"is not JSON, or longer than {MAX_LINE} characters")
            self.more()
