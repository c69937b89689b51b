"""The tables of reports. Every statement takes a whole batch."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from secondlook.common.contract.fields import Scores
from secondlook.common.contract.policy import Policy
from secondlook.common.errors import Overtaken
from secondlook.common.postgres import KEY_TAKEN, Connection, Queryable
from secondlook.router.identity.standing import Key
from secondlook.router.reports.book import Approved, KeptReport, ReportBook, ReportKey
from secondlook.router.reports.rule import ReporterRecord

COLUMNS = (
    "source", "report_id", "content_id", "reporter", "reason", "note", "reported_at", "received_at", "counted",
    "answered", "upheld",
)  # fmt: skip
_NAMED = ", ".join(f"r.{name}" for name in COLUMNS)
OF_CONTENTS = f"""
SELECT {_NAMED} FROM report r JOIN unnest($1::text[], $2::text[]) AS k(source, content_id) USING (source, content_id)
WHERE r.counted
"""  # noqa: S608 - made of constants
BY_ID = f"""
SELECT {_NAMED} FROM report r JOIN unnest($1::text[], $2::text[]) AS k(source, report_id) USING (source, report_id)
"""  # noqa: S608
RECORDS = """
SELECT p.source, p.reporter, p.upheld, p.refused
FROM reporter p JOIN unnest($1::text[], $2::text[]) AS k(source, reporter) USING (source, reporter)
"""
APPROVED = """
SELECT a.source, a.content_id, a.revision, a.request, a.author_id
FROM approved_content a JOIN unnest($1::text[], $2::text[]) AS k(source, content_id) USING (source, content_id)
"""
LATEST = """
SELECT c.source, c.content_id, c.latest_revision, r.route, r.audited, r.scores
FROM content c JOIN unnest($1::text[], $2::text[]) AS k(source, content_id) USING (source, content_id)
JOIN revision r ON (r.source, r.content_id, r.revision) = (c.source, c.content_id, c.latest_revision)
"""
READ = "SELECT count(nextval('reports_read')) FROM generate_series(1, $1)"
# What people then rejected counts no more: its reporters were right.
TRIALS = "SELECT count(*)::int FROM reopening WHERE unproven AND state IN ('asked', 'refused') AND since > $1"
FORGET = """
DELETE FROM report r USING unnest($1::text[], $2::text[]) AS k(source, report_id)
WHERE (r.source, r.report_id) = (k.source, k.report_id)
"""
KEEP_APPROVED = """
INSERT INTO approved_content AS a (source, content_id, revision, request, author_id, approved_at)
SELECT *, $6 FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[]) ORDER BY 1, 2
ON CONFLICT (source, content_id) DO UPDATE SET
    revision = excluded.revision, request = excluded.request, author_id = excluded.author_id,
    approved_at = excluded.approved_at
"""
DROP_APPROVED = """
DELETE FROM approved_content a USING unnest($1::text[], $2::text[]) AS k(source, content_id)
WHERE (a.source, a.content_id) = (k.source, k.content_id)
"""
REOPEN = """
INSERT INTO reopening AS o (source, content_id, revision, unproven, state, since)
SELECT *, $6 FROM unnest($1::text[], $2::text[], $3::int[], $4::bool[], $5::text[]) ORDER BY 1, 2, 3
ON CONFLICT (source, content_id, revision) DO UPDATE SET
    unproven = excluded.unproven, state = excluded.state,
    since = CASE WHEN o.state = excluded.state THEN o.since ELSE excluded.since END
"""


class StoredLatest(NamedTuple):
    """The latest revision of a piece of content that was routed."""

    revision: int
    route: str
    audited: bool
    scores: Scores | None


async def load_book(
    connection: Connection, keys: Collection[Key], ids: Collection[ReportKey], policy: Policy | None, now: datetime
) -> ReportBook:
    """What is stored of the reports of these pieces of content, and of the reports with these ids; not yet `latest`.

    Call it with their rows of `content` locked.
    """
    book = ReportBook()
    if not keys and not ids:
        return book
    for row in await connection.fetch(OF_CONTENTS, *_columns(list(keys), 2)):
        report = KeptReport(*tuple(row)[2:])
        book.reports.setdefault((row["source"], report.content_id), {})[row["report_id"]] = report
        book.owners[row["source"], row["report_id"]] = report
    for row in await connection.fetch(BY_ID, *_columns(list(ids), 2)):
        book.owners.setdefault((row["source"], row["report_id"]), KeptReport(*tuple(row)[2:]))
    for row in await connection.fetch(APPROVED, *_columns(list(keys), 2)):
        book.approved[row["source"], row["content_id"]] = Approved(*tuple(row)[2:])
    if policy is not None and policy.reports is not None:
        book.trials = policy.reports.unproven - await trials(connection, now - policy.reports.window)
    return book


async def load_records(connection: Connection, reporters: Collection[ReportKey]) -> dict[ReportKey, ReporterRecord]:
    """The records of those of these reporters, by source and pseudonym, that have one."""
    rows = await connection.fetch(RECORDS, *_columns(list(reporters), 2))
    return {(row[0], row[1]): ReporterRecord(row[2], row[3]) for row in map(tuple, rows)}


async def load_latest(connection: Connection, keys: Collection[Key]) -> dict[Key, StoredLatest]:
    """Where the latest revisions of these pieces of content went."""
    rows = await connection.fetch(LATEST, *_columns(list(keys), 2))
    return {(row[0], row[1]): StoredLatest(*row[2:]) for row in map(tuple, rows)}


async def count_read(connection: Connection, reports: int) -> None:
    """Count reports read, which are records of the topic of content and no items. Never taken back."""
    if reports:
        await connection.execute(READ, reports)


async def trials(connection: Queryable, since: datetime) -> int:
    """How many items went to people since then on the word of unproven reporters, and were not rejected."""
    found: int = await connection.fetchval(TRIALS, since)
    return found


async def save_book(connection: Connection, book: ReportBook, now: datetime) -> None:
    """Store what changed.

    Raises:
        Overtaken: another transaction stored a report with one of the ids first.
    """
    gone = {*book.changed, *book.dropped}
    if gone:
        await connection.execute(FORGET, *_columns(sorted(gone), 2))
    if book.changed:
        rows = [(*at, *report) for at, report in sorted(book.changed.items())]
        try:
            await connection.copy_records_to_table("report", records=rows, columns=COLUMNS)
        except KEY_TAKEN as error:
            raise Overtaken("one of these reports was accepted or read meanwhile") from error
    keep = [(*key, *approved) for key, approved in sorted(book.kept.items()) if approved is not None]
    drop = [key for key, approved in book.kept.items() if approved is None]
    if keep:
        await connection.execute(KEEP_APPROVED, *_columns(keep, 5), now)
    if drop:
        await connection.execute(DROP_APPROVED, *_columns(sorted(drop), 2))
    if book.reopenings:
        reopened = [(*at, *reopening) for at, reopening in sorted(book.reopenings.items())]
        await connection.execute(REOPEN, *_columns(reopened, 5), now)


def _columns(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
