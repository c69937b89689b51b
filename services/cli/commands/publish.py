"""`secondlook publish FILE`: content from a file to the router."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

import typer

from secondlook.cli.files.content import Filling, fill, source_name
from secondlook.cli.files.router_client import Pace, RouterClient, connect
from secondlook.cli.files.rows import Row, read_rows
from secondlook.cli.output import note, say
from secondlook.cli.progress import Meter
from secondlook.cli.terminal import guarded
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace
from secondlook.common.bus.wire import MAX_BYTES
from secondlook.common.errors import ConfigurationError, InvalidInput

BATCH_ITEMS = 500
BATCH_BYTES = 4 * 1024 * 1024
SHOWN = 5
NAMED = 20


@dataclass(slots=True)
class Tally:
    """What happened to the rows so far."""

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    ignored: dict[str, None] = field(default_factory=dict)

    def refuse(self, row: int, code: str, problem: str) -> None:
        self.refused[code] += 1
        if len(self.examples) < SHOWN:
            self.examples.append(f"row {row}: {problem}")

    def report(self) -> None:
        """Print it."""
        if self.ignored:
            more = f" and {len(self.ignored) - NAMED} more" if len(self.ignored) > NAMED else ""
            note(f"ignored columns: {', '.join(islice(self.ignored, NAMED))}{more}")
        for example in self.examples:
            note(f"refused {example}")
        if (total := self.refused.total()) > len(self.examples):
            note(f"refused {total - len(self.examples):,} more")
        line = f"accepted {self.accepted:,}"
        if self.refused:
            line += f", refused {total:,} ({', '.join(f'{code} {n:,}' for code, n in self.refused.most_common())})"
        say(line)


def publish(
    file: Annotated[str, typer.Argument(help="JSON Lines, CSV (both also .gz) or Parquet; - reads standard input.")],
    rate: Annotated[float | None, typer.Option(min=0.001, help="Items a second, at most.")] = None,
    source: Annotated[str | None, typer.Option(help="Source of rows without one. Default: the file's name.")] = None,
    kind: Annotated[str, typer.Option(help="Kind of rows without one.")] = "text",
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many rows.")] = None,
    text_column: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    url: Annotated[str | None, typer.Option(envvar="SECONDLOOK_ROUTER_URL", help="The router.")] = None,
    key: Annotated[str | None, typer.Option(envvar="SECONDLOOK_API_KEY", help="API key, role upstream.")] = None,
    retries: Annotated[int, typer.Option(min=0, help="Tries after one that failed.")] = 8,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Send content to the router: full ContentSubmitted rows, or rows with at least a text.

    What is missing is filled in: content_id from `id`, else from the row number and the text; revision 1, created_at
    now, language from `lang`. Repeats change nothing, so a run that was cut off can be started again. Exit status 1 if
    rows were refused.
    """

    def command() -> Tally:
        router, token = url, key
        if router is None or token is None:
            workspace = find_workspace(data_dir)
            router, token = router or workspace.router_url, token or workspace.keys.get("upstream")
        if token is None:
            raise ConfigurationError("no API key: set --key or SECONDLOOK_API_KEY (`secondlook keys create`)")
        filling = Filling(source or source_name(file), kind, text_column)
        return _publish(islice(read_rows(file, text_column), limit), filling, router, token, Pace(rate), retries)

    if guarded(command).refused:
        raise typer.Exit(1)


def _publish(rows: Iterator[Row], filling: Filling, url: str, key: str, pace: Pace, retries: int) -> Tally:
    tally = Tally()
    size = BATCH_ITEMS if pace.per_second is None else max(1, min(BATCH_ITEMS, round(pace.per_second / 4)))
    try:
        with connect(url, key) as client, Meter("published") as meter:
            router = RouterClient(client, retries, lambda text: note(text, "yellow"), time.sleep)
            for batch in _batches(rows, filling, tally, size):
                pace.wait(len(batch))
                receipt = router.send([line for _, line in batch])
                tally.accepted += receipt.accepted
                for refusal in receipt.refused:
                    problem = "; ".join(f"{e.get('field')}: {e.get('problem')}" for e in refusal.errors)
                    tally.refuse(batch[refusal.line - 1][0], refusal.code, problem)
                meter.add(len(batch))
    except BaseException:
        if tally.accepted or tally.refused:
            tally.report()
        raise
    tally.report()
    return tally


def _batches(rows: Iterator[Row], filling: Filling, tally: Tally, size: int) -> Iterator[list[tuple[int, bytes]]]:
    batch: list[tuple[int, bytes]] = []
    held = 0
    for number, row in rows:
        try:
            line = _line(number, row, filling, tally)
        except InvalidInput as error:
            tally.refuse(number, error.reason, str(error))
            continue
        if held + len(line) > BATCH_BYTES:
            yield batch
            batch, held = [], 0
        batch.append((number, line))
        held += len(line)
        if len(batch) >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _line(number: int, row: dict[str, Any] | InvalidInput, filling: Filling, tally: Tally) -> bytes:
    if isinstance(row, InvalidInput):
        raise row
    content, ignored = fill(number, row, filling, datetime.now(UTC))
    tally.ignored |= dict.fromkeys(ignored)
    # A lone surrogate is passed on as it is: the router refuses it and says where.
    line = json.dumps(content, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
    if len(line) > MAX_BYTES:
        raise InvalidInput(f"is {len(line)} bytes long; at most {MAX_BYTES} are read", reason="too_large")
    return line
