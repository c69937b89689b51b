"""`secondlook publish FILE`: send content from a file to the router."""

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
from secondlook.cli.files.rows import NumberedRow, read_rows
from secondlook.cli.output import note, say, shortened
from secondlook.cli.progress import Meter
from secondlook.cli.terminal import guarded
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace
from secondlook.common.bus.wire import MAX_SENT
from secondlook.common.errors import ConfigurationError, InvalidInput

BATCH_ITEMS = 500
BATCH_BYTES = 4 * 1024 * 1024
SHOWN = 5
NAMED = 20
NAME_LENGTH = 120


@dataclass(slots=True)
class PublishSummary:
    """What happened to the rows so far."""

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    ignored: dict[str, None] = field(default_factory=dict)

    def refuse(self, row: int, code: str, problem: str) -> None:
        self.refused[code] += 1
        self.show(row, problem)

    def show(self, row: int, problem: str) -> None:
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
    rate: Annotated[float | None, typer.Option(min=0.001, help="Send at most this many items per second.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Source for rows that have none. Default: the file's name.")
    ] = None,
    kind: Annotated[str, typer.Option(help="Kind for rows that have none.")] = "text",
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many rows.")] = None,
    text_column: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    url: Annotated[str | None, typer.Option(envvar="SECONDLOOK_ROUTER_URL", help="URL of the router.")] = None,
    key: Annotated[
        str | None, typer.Option(envvar="SECONDLOOK_API_KEY", help="API key with the role upstream.")
    ] = None,
    retries: Annotated[int, typer.Option(min=0, help="How often to retry a failed request.")] = 8,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Send content to the router. Rows are complete ContentSubmitted objects, or have at least a text.

    Missing fields get defaults: content_id from `id`, else from the row number and the text; revision 1; created_at
    now; language from `lang`. Sending a row twice changes nothing, so an interrupted run can simply be repeated. Exit
    status 1 if the router refused rows.
    """

    def command() -> PublishSummary:
        router, token = url, key
        if router is None or token is None:
            workspace = find_workspace(data_dir)
            router, token = router or workspace.router_url, token or workspace.keys.get("upstream")
        if token is None:
            raise ConfigurationError("no API key: give --key or SECONDLOOK_API_KEY; `secondlook keys create` makes one")
        filling = Filling(source or source_name(file), kind, text_column)
        return _publish(islice(read_rows(file, text_column), limit), filling, router, token, Pace(rate), retries)

    if guarded(command).refused:
        raise typer.Exit(1)


def _publish(
    rows: Iterator[NumberedRow], filling: Filling, url: str, key: str, pace: Pace, retries: int
) -> PublishSummary:
    tally = PublishSummary()
    size = BATCH_ITEMS if pace.per_second is None else max(1, min(BATCH_ITEMS, round(pace.per_second / 4)))
    try:
        with connect(url, key) as client, Meter("published") as meter:
            router = RouterClient(client, retries, lambda text: note(text, "yellow"), time.sleep)
            for batch in _batches(rows, filling, tally, size):
                pace.wait(len(batch))
                receipt = router.send([line for _, line in batch])
                tally.accepted += receipt.accepted
                tally.refused += receipt.codes()
                for refusal in receipt.refused:
                    problem = "; ".join(f"{e.get('field')}: {e.get('problem')}" for e in refusal.errors)
                    number, line = batch[refusal.line - 1]
                    tally.show(number, f"{problem} ({refusal.code}: {_identity(line)})")
                meter.add(len(batch))
    except BaseException:
        if tally.accepted or tally.refused:
            tally.report()
        raise
    tally.report()
    return tally


def _batches(
    rows: Iterator[NumberedRow], filling: Filling, tally: PublishSummary, size: int
) -> Iterator[list[tuple[int, bytes]]]:
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


def _identity(line: bytes) -> str:
    """Which revision a line is about, as it names it."""
    content = json.loads(line)
    return shortened(f"{content['source']}/{content['content_id']}, revision {content['revision']}", NAME_LENGTH)


def _line(number: int, row: dict[str, Any] | InvalidInput, filling: Filling, tally: PublishSummary) -> bytes:
    if isinstance(row, InvalidInput):
        raise row
    content, ignored = fill(number, row, filling, datetime.now(UTC))
    tally.ignored |= dict.fromkeys(ignored)
    # A lone surrogate passes unchanged: the router refuses it and names the field.
    line = json.dumps(content, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
    if len(line) > MAX_SENT:
        raise InvalidInput(f"is {len(line)} bytes long; the limit is {MAX_SENT}", reason="too_large")
    return line
