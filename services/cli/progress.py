"""Progress of a long command: a live line on a terminal, a printed line every few seconds elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from secondlook.cli.output import note
from secondlook.cli.terminal import errors

LINE_SECONDS = 5.0


class Meter:
    """Counts items and shows their rate on standard error, so that standard output stays clean."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._clock = what, clock
        self._count = 0
        self._live = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=errors, transient=True, disable=not errors.is_terminal,
        )  # fmt: skip
        self._task = self._live.add_task(what, total=None)

    def __enter__(self) -> Self:
        self._started = self._printed = self._clock()
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def add(self, items: int) -> None:
        """Count `items` more as done."""
        self._count += items
        self._live.update(self._task, description=str(self))
        now = self._clock()
        if not errors.is_terminal and now - self._printed >= LINE_SECONDS:
            self._printed = now
            note(str(self))

    def __str__(self) -> str:
        rate = self._count / max(self._clock() - self._started, 1e-3)
        return f"{self._what}: {self._count:,} items, {rate:,.0f} items/s"
