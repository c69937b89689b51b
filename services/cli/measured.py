"""The quality figures that the trainer measured last, as the reviewer API keeps them."""

from pydantic import ValidationError

from secondlook.cli.output import show_table
from secondlook.common.contract.events import QualityMeasured
from secondlook.common.errors import ConfigurationError, NotFound
from secondlook.common.postgres import Queryable

NEWEST = "SELECT document FROM reviewer.newest_quality"
NOTHING_YET = "the trainer has not published any quality figures yet: is it running?"


async def needed_figures(connection: Queryable) -> QualityMeasured:
    """The figures.

    Raises:
        NotFound: there are none yet.
        ConfigurationError: the stored figures are of another version.
    """
    found = await newest_figures(connection)
    if found is None:
        raise NotFound(NOTHING_YET)
    return found


def show_frontier(found: QualityMeasured) -> None:
    """What other risks than the policy's would cost, a line for each."""
    show_table(
        ("risk: approve", "reject", "automatic now", "reviews a day"),
        [
            (f"{point.approve:.2%}", f"{point.reject:.2%}", f"{point.automated:.1%}", f"{point.reviews_a_day:,.0f}")
            for point in found.frontier
        ],
        "no evidence has been looked at yet",
    )


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
