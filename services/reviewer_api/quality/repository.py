"""The newest quality figures, in Postgres."""

from secondlook.common.contract.events import QualityMeasured
from secondlook.common.postgres import Queryable

# A record can repeat, also after a newer one.
KEEP = """
INSERT INTO quality AS q (measured_at, document) VALUES ($1, $2)
ON CONFLICT (only_row) DO UPDATE SET measured_at = excluded.measured_at, document = excluded.document
WHERE excluded.measured_at > q.measured_at
"""
READ = "SELECT document FROM quality"


async def keep(connection: Queryable, measured: QualityMeasured) -> None:
    """Keep these figures in place of older ones; newer ones stay."""
    await connection.execute(KEEP, measured.measured_at, measured.model_dump_json())


async def newest(connection: Queryable) -> str | None:
    """The newest figures as JSON, None before the first."""
    document: str | None = await connection.fetchval(READ)
    return document
