"""From `moderation.decided` to the decision log."""

from collections.abc import Sequence

from secondlook.common.contract.events import ContentDecided
from secondlook.common.service.stream import Item
from secondlook.common.service.unit_of_work import UnitOfWork
from secondlook.reviewer_api.decisions import repository

GROUP = "reviewer-decisions"


class DecisionHandler:
    """Handler of `moderation.decided`. A repeated decision changes nothing."""

    async def prepare(self, items: Sequence[Item]) -> list[ContentDecided]:
        return [item.event for item in items if isinstance(item.event, ContentDecided)]

    async def apply(self, work: UnitOfWork, plan: list[ContentDecided]) -> None:
        await repository.insert(work.connection, plan)

    def committed(self, done: None) -> None:
        """The stream counts its records; there is nothing to add."""
