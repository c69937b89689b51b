"""`POST /v1/content/{source}/{content_id}/reports`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header
from pydantic import BaseModel, ConfigDict, Field

from secondlook.common.bus.wire import trace_of
from secondlook.common.contract.reports import Reporter, ReportId, ReportNote, ReportReason
from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.router.reports.acceptance import Reports

EARLY = "nothing of the content is known yet; the report is kept until it comes"
REUSED = {"report_reused": "the id is known with another content, reporter, reason or note"}


class NewReport(BaseModel):
    """What a user reports."""

    model_config = ConfigDict(extra="forbid")

    report_id: ReportId = Field(description="yours, one for each report of a source")
    reporter: Reporter = Field(description="a pseudonym that stays the same for this user; no reviewer sees it")
    reason: ReportReason = Field(description="the name of one of the policy's labels, or words of your own")
    note: ReportNote | None = Field(None, description="what the user wrote, shown to reviewers")


class AcceptedReport(BaseModel):
    """The report is stored and will count."""

    source: str
    content_id: str
    report_id: str
    known: bool = Field(description="false: nothing of the content was sent so far, and the report waits for it")
    detail: str


def report_routes(reports: Reports, authenticator: Authenticator) -> APIRouter:
    """The route by which upstream hands on what its users report."""
    sender = Annotated[Caller, Depends(require(authenticator, Permission.CONTENT_SUBMIT))]
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["content"])

    @router.post("/content/{source}/{content_id:id}/reports", status_code=202, responses=documented(422, 429, **REUSED))
    async def report(
        source: str,
        content_id: str,
        said: NewReport,
        caller: sender,
        traceparent: Annotated[str | None, Header()] = None,
    ) -> AcceptedReport:
        """A user reports the content: what waits for review comes up earlier, and what was approved automatically goes
        to a person once enough reports weigh enough (`reports` in the policy).

        Safe to repeat: `report_id` makes it one report. The decision feed names the reports that a decision answers.
        """
        trace = trace_of({"traceparent": traceparent or ""})
        accepted = await reports.accept((source, content_id), said.model_dump(), caller, trace)
        told = "accepted before" if accepted.repeated else "accepted" if accepted.known else EARLY
        report_id = accepted.event.report_id
        return AcceptedReport(
            source=source, content_id=content_id, report_id=report_id, known=accepted.known, detail=told
        )

    return router
