"""`/v1/audit-log`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.audit_log.schemas import AuditLogEntry, AuditLogPage
from secondlook.reviewer_api.audit_log.service import AuditLogService


def routes(audit_log: AuditLogService, authenticator: Authenticator) -> APIRouter:
    """Takes the permission `audit_log:read`."""
    reader = Depends(require(authenticator, Permission.AUDIT_LOG_READ))
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["audit log"], dependencies=[reader])

    @router.get("/audit-log", summary="Read the audit log", responses=documented(422))
    async def read_audit_log(
        after: Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> AuditLogPage:
        """Who signed in, changed accounts and keys, published policies, or changed what others did: newest first."""
        found = await audit_log.page(after, limit + 1)
        entries = [
            AuditLogEntry(
                number=entry.number, at=entry.at, actor=entry.actor, action=entry.action, object=entry.object,
                details=dict(entry.details), hash=entry.hash.hex(),
            )
            for entry in found[:limit]
        ]  # fmt: skip
        return AuditLogPage(entries=entries, next=entries[-1].number if len(found) > limit else None)

    return router
