"""The lines of a batch that were not accepted: all by number, the first with their problems. Pure."""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from secondlook.common.errors import LISTED, InvalidInput


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A line of a batch that was not accepted. Lines count from 1."""

    line: int
    error: InvalidInput


@dataclass(slots=True)
class Refusals:
    """The refused lines: `lines` by reason, and what is wrong with the `first` LISTED of them."""

    first: list[LineProblem] = field(default_factory=list)
    lines: dict[str, list[int]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many lines were refused."""
        return sum(map(len, self.lines.values()))

    def add(self, line: int, error: InvalidInput) -> None:
        """Note a refused line."""
        insort(self.lines.setdefault(error.reason, []), line)
        if len(self.first) < LISTED or line < self.first[-1].line:
            error.__cause__ = None  # it and the traceback would keep the whole batch in memory
            insort(self.first, LineProblem(line, error.with_traceback(None)), key=lambda problem: problem.line)
            del self.first[LISTED:]


def ranges(lines: Sequence[int]) -> str:
    """Ascending numbers, written short: `3,7-9,12`."""
    runs: list[list[int]] = []
    for line in lines:
        if runs and line == runs[-1][1] + 1:
            runs[-1][1] = line
        else:
            runs.append([line, line])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)
