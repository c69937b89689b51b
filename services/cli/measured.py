"""The quality figures that the trainer measured last, as the reviewer API keeps them."""

from pydantic import ValidationError

from secondlook.common.contract.events import QualityMeasured
from secondlook.common.errors import ConfigurationError
from secondlook.common.postgres import Queryable

NEWEST = "SELECT document FROM reviewer.newest_quality"
NOTHING_YET = "the trainer has not published any quality figures yet: is it running?"


async def newest_figures(connection: Queryable) -> QualityMeasured | None:
    """The figures, None before the first.

    Raises:
        ConfigurationError: the stored figures are of another version.
    """
    document = await connection.fetchval(NEWEST)
    if document is None:
        return None
    try:
        return QualityMeasured.model_validate_json(document)
    except ValidationError as error:
        raise ConfigurationError("the stored quality figures are of another version of Second Look") from error
