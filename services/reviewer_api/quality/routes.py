"""`/v1/quality`."""

from fastapi import APIRouter, Depends

from secondlook.common.contract.events import QualityMeasured
from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.quality.service import QualityService


def routes(quality: QualityService, authenticator: Authenticator) -> APIRouter:
    """Leads read the figures: they are about reviewers too, by pseudonym."""
    reader = Depends(require(authenticator, Permission.QUALITY_READ))
    router = APIRouter(route_class=GuardedRoute, prefix="/v1/quality", tags=["quality"], dependencies=[reader])

    @router.get("", summary="Read the quality figures", responses=documented(404))
    async def read_quality() -> QualityMeasured:
        """The trainer's newest figures: each side and its certificate, audits, labels, reviewers, second looks.

        An item counts once people have settled it, and no item is named: nothing here tells one open review from
        another. 404 until the trainer has measured.
        """
        return await quality.newest()

    return router
