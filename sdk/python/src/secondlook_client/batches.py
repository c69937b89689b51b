"""Content in batches: how it is cut, and what of it was refused. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from secondlook_client._calls import Submittable, encoded
from secondlook_client.errors import TooLarge
from secondlook_client.models import AcceptedLines, ProblemField

LINES = 1_000  # a batch; the server takes 10,000
BYTES = 4 * 1024 * 1024  # a batch, where one piece alone is not larger; the server takes 8 MiB


class Refused(NamedTuple):
    """Content that was not accepted, and why: `code` is a stable word.

    `errors` is empty where the server only counts; it explains the first of each batch.
    """

    content: Submittable
    code: str
    errors: tuple[ProblemField, ...]


class Submitted(NamedTuple):
    """How a submission went. Correct what was refused and send it again; repeats of the rest change nothing."""

    accepted: int
    refused: list[Refused]


class Line(NamedTuple):
    """A piece of content and its JSON."""

    content: Submittable
    body: bytes


class Batches:
    """Cuts content into batches, one after the other. `refused` collects what is not accepted."""

    def __init__(self, lines: int = LINES, size: int = BYTES) -> None:
        if lines < 1:
            raise ValueError("a batch has at least one line")
        self._most, self._size = lines, size
        self._waiting: list[Line] = []
        self._bytes = 0
        self.accepted = 0
        self.refused: list[Refused] = []

    def add(self, content: Submittable) -> list[Line]:
        """Add one; returns the batch that is full now, empty where none is."""
        try:
            line = Line(content, encoded(content))
        except ValueError as error:
            self.refused.append(Refused(content, "malformed", (ProblemField(field="", problem=str(error)),)))
            return []
        full: list[Line] = []
        if self._waiting and (len(self._waiting) >= self._most or self._bytes + len(line.body) > self._size):
            full = self.rest()
        self._waiting.append(line)
        self._bytes += len(line.body) + 1
        return full

    def rest(self) -> list[Line]:
        """The last batch."""
        rest, self._waiting, self._bytes = self._waiting, [], 0
        return rest

    def answered(self, batch: Sequence[Line], answer: AcceptedLines) -> None:
        """Note how a batch went."""
        self.accepted += answer.accepted
        explained = {line.line: line for line in answer.refused}
        for number, code in sorted(_refused_lines(answer)):
            told = explained.get(number)
            self.refused.append(Refused(batch[number - 1].content, code, told.errors if told else ()))

    def too_large(self, batch: Sequence[Line], error: TooLarge) -> list[Sequence[Line]]:
        """The halves to send instead; what is too large alone is refused."""
        if len(batch) > 1:
            half = len(batch) // 2
            return [batch[:half], batch[half:]]
        self.refused.append(Refused(batch[0].content, error.code, error.errors))
        return []

    def submitted(self) -> Submitted:
        return Submitted(self.accepted, self.refused)


def body_of(batch: Iterable[Line]) -> bytes:
    """The NDJSON of a batch."""
    return b"\n".join(line.body for line in batch)


def _refused_lines(answer: AcceptedLines) -> Iterator[tuple[int, str]]:
    for code, runs in answer.refused_lines.items():
        for run in runs.split(","):
            first, _, last = run.partition("-")
            for number in range(int(first), int(last or first) + 1):
                yield number, code
