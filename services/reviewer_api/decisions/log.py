"""From `moderation.decided` to the decision log."""

from collections.abc import Sequence

from services.common.events import ContentDecided
from services.common.stream import Item
from services.common.unit_of_work import UnitOfWork
from services.reviewer_api.decisions import repository

GROUP = "reviewer-decisions"


class DecisionLog:
    """Handler of `moderation.decided`. A decision that comes again changes nothing."""

    async def prepare(self, items: Sequence[Item]) -> list[ContentDecided]:
        return [item.event for item in items if isinstance(item.event, ContentDecided)]

    async def apply(self, work: UnitOfWork, plan: list[ContentDecided]) -> None:
        await repository.insert(work.connection, plan)

    def committed(self, plan: list[ContentDecided]) -> None:
        """The stream counts its records; there is nothing to add."""
