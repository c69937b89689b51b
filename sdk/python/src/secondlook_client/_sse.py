"""Server-sent events, as the HTML standard has them. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_LINE_END = re.compile(rb"\r\n|\n|\r")


class Event(NamedTuple):
    """One event; `id` is the last that was given, by this event or one before it."""

    id: str
    name: str
    data: str


class Events:
    """Puts events together from bytes, however these are cut."""

    def __init__(self) -> None:
        self._rest, self._id, self._name = b"", "", ""
        self._data: list[str] = []

    def feed(self, more: bytes) -> Iterator[Event]:
        """The events that are complete with these bytes."""
        lines = _LINE_END.split(self._rest + more)
        # A line break may be cut in two: `\r` at the end is looked at again with what follows.
        if (self._rest + more).endswith(b"\r"):
            self._rest = lines[-2] + b"\r"
            lines = lines[:-2]
        else:
            self._rest = lines.pop()
        for line in lines:
            if line:
                self._field(line.decode("utf-8", errors="replace"))
            elif event := self._complete():
                yield event

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\x00" not in value:
            self._id = value

    def _complete(self) -> Event | None:
        name, data = self._name or "message", self._data
        self._name, self._data = "", []
        return Event(self._id, name, "\n".join(data)) if data else None
