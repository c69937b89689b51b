"""`secondlook publish FILE`: send content from a file to the router."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import typer

from secondlook.cli.files.content import Filling, fill, source_name
from secondlook.cli.files.formats.table import TableRow
from secondlook.cli.files.repeats import Repeats
from secondlook.cli.files.router_client import Pace, RouterClient, connect
from secondlook.cli.files.rows import ReadAs, opened
from secondlook.cli.output import note, say, shortened, show_table
from secondlook.cli.progress import Meter
from secondlook.cli.terminal import guarded
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace
from secondlook.common.bus.wire import MAX_SENT, parse, refuse_large
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.errors import ConfigurationError, InvalidInput

BATCH_ITEMS = 500
BATCH_BYTES = 4 * 1024 * 1024
SHOWN = 5
NAMED = 20
NAME_LENGTH = 120
FIRST = 5
TEXT_SHOWN = 60


@dataclass(slots=True)
class PublishSummary:
    """What happened to the rows so far."""

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    ignored: dict[str, None] = field(default_factory=dict)

    def refuse(self, place: str, code: str, problem: str) -> None:
        self.refused[code] += 1
        self.show(place, problem)

    def show(self, place: str, problem: str) -> None:
        if len(self.examples) < SHOWN:
            self.examples.append(f"{place}: {problem}")

    def report(self, accepted: str = "accepted") -> None:
        """Print it."""
        if self.ignored:
            more = f" and {len(self.ignored) - NAMED} more" if len(self.ignored) > NAMED else ""
            note(f"ignored columns: {', '.join(islice(self.ignored, NAMED))}{more}")
        for example in self.examples:
            note(f"refused {example}")
        if (total := self.refused.total()) > len(self.examples):
            note(f"refused {total - len(self.examples):,} more")
        line = f"{accepted} {self.accepted:,}"
        if self.refused:
            line += f", refused {total:,} ({', '.join(f'{code} {n:,}' for code, n in self.refused.most_common())})"
        say(line)


def publish(
    file: Annotated[
        str, typer.Argument(help="CSV, JSON Lines, a JSON array (also .gz) or Parquet; - reads standard input.")
    ],
    rate: Annotated[float | None, typer.Option(min=0.001, help="Send at most this many items per second.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Source for rows that have none. Default: the file's name.")
    ] = None,
    kind: Annotated[str, typer.Option(help="Kind for rows that have none.")] = "text",
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many rows.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text. Default: text.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="For example cp1252. Default: as the file's mark, else UTF-8.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Character between the fields of CSV, or tab. Default: as it looks.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show how the file is read, and send nothing.")] = False,
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

    --dry-run shows the first rows as they would be sent, and counts what the contract refuses; the router may refuse
    more, since it knows what it has received already.
    """
    wanted = ReadAs(encoding, delimiter, text_column)

    def command() -> PublishSummary:
        if dry_run:
            return _show(file, wanted, source, kind, limit)
        router, token = url, key
        if router is None or token is None:
            workspace = find_workspace(data_dir)
            router, token = router or workspace.router_url, token or workspace.keys.get("upstream")
        if token is None:
            raise ConfigurationError("no API key: give --key or SECONDLOOK_API_KEY; `secondlook keys create` makes one")
        with opened(file, wanted) as data:
            filling = Filling(source or source_name(file), kind, data.layout.text_column)
            return _publish(islice(data.rows, limit), filling, router, token, Pace(rate), retries)

    if guarded(command).refused:
        raise typer.Exit(1)


def _show(file: str, wanted: ReadAs, source: str | None, kind: str, limit: int | None) -> PublishSummary:
    """Show how the file would be read, and send nothing."""
    tally, repeats, read = PublishSummary(), Repeats(), 0
    first: list[tuple[object, ...]] = []
    with opened(file, wanted) as data:
        say(f"{data.shown}: {data.described()}")
        filling = Filling(source or source_name(file), kind, data.layout.text_column)
        for row in islice(data.rows, limit):
            read += 1
            try:
                content = parse(ContentSubmitted, _line(row, filling, tally))
                refuse_large(content.model_dump_json().encode())
                repeats.check_text(row.number, content)
            except InvalidInput as error:
                tally.refuse(row.place, error.reason, str(error))
                continue
            tally.accepted += 1
            if len(first) < FIRST:
                named = f"{content.source}/{content.content_id}"
                first.append((row.number, named, content.revision, content.kind, shortened(content.text, TEXT_SHOWN)))
    show_table(("row", "content", "revision", "kind", "text"), first, "no row can be sent")
    say(f"read {read:,} rows, and sent none")
    tally.report("would send")
    return tally


def _publish(
    rows: Iterator[TableRow], filling: Filling, url: str, key: str, pace: Pace, retries: int
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
                    place, line = batch[refusal.line - 1]
                    tally.show(place, f"{problem} ({refusal.code}: {_identity(line)})")
                meter.add(len(batch))
    except BaseException:
        if tally.accepted or tally.refused:
            tally.report()
        raise
    tally.report()
    return tally


def _batches(
    rows: Iterator[TableRow], filling: Filling, tally: PublishSummary, size: int
) -> Iterator[list[tuple[str, bytes]]]:
    batch: list[tuple[str, bytes]] = []
    held = 0
    for row in rows:
        try:
            line = _line(row, filling, tally)
        except InvalidInput as error:
            tally.refuse(row.place, error.reason, str(error))
            continue
        if held + len(line) > BATCH_BYTES:
            yield batch
            batch, held = [], 0
        batch.append((row.place, line))
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


def _line(row: TableRow, filling: Filling, tally: PublishSummary) -> bytes:
    if isinstance(row.values, InvalidInput):
        raise row.values
    content, ignored = fill(row.number, row.values, filling, datetime.now(UTC))
    tally.ignored |= dict.fromkeys(ignored)
    # A lone surrogate passes unchanged: the router refuses it and names the field.
    line = json.dumps(content, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
    if len(line) > MAX_SENT:
        raise InvalidInput(f"is {len(line)} bytes long; the limit is {MAX_SENT}", reason="too_large")
    return line
