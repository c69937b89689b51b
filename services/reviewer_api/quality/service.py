"""Keep the newest quality figures and read them."""

import structlog
from pydantic import ValidationError

from secondlook.common.bus import Record
from secondlook.common.bus.wire import decode
from secondlook.common.contract.events import QualityMeasured
from secondlook.common.errors import InvalidInput, NotFound
from secondlook.common.postgres import Database
from secondlook.reviewer_api.quality import repository

NOTHING = "the trainer has not published any quality figures yet"

log = structlog.get_logger()


class QualityService:
    """The figures that the trainer publishes, as they were published. Knows nothing of HTTP.

    Reading the topic only keeps a record in memory, and `store` writes it, so that reading continues while the database
    is unreachable.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unstored: QualityMeasured | None = None

    async def on_record(self, record: Record) -> None:
        """Take a record of `quality.measured`. One that this version cannot read changes nothing."""
        try:
            event = decode(record)
        except InvalidInput as error:
            log.error("quality record refused", offset=record.offset, error=str(error))
            return
        if isinstance(event, QualityMeasured):
            self._unstored = event

    async def store(self) -> None:
        """Store the figures read last, if they are new. Of several processes the newest figures win."""
        taken = self._unstored
        if taken is not None:
            await repository.keep(self._database.pool, taken)
            if self._unstored is taken:
                self._unstored = None

    async def newest(self) -> QualityMeasured:
        """The newest figures.

        Raises:
            NotFound: none were published yet, or those that were kept are of another version.
        """
        document = await repository.newest(self._database.pool)
        if document is None:
            raise NotFound(NOTHING)
        try:
            return QualityMeasured.model_validate_json(document)
        except ValidationError as error:
            raise NotFound(
                "the stored quality figures are of another version; the trainer will replace them"
            ) from error
