"""The router's HTTP routes: content in. Decisions are read from the bus or from the reviewer API."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, Field, ValidationError

from secondlook.common.bus.wire import MAX_SENT, invalid, trace_of
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.fields import ContentId, Source
from secondlook.common.errors import LISTED
from secondlook.common.observability import Health
from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.http import create_app
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import ProblemField, documented
from secondlook.router.ingest.refusals import LineProblem, ranges
from secondlook.router.reports.acceptance import Reports
from secondlook.router.reports.routes import report_routes
from secondlook.router.submissions import MAX_LINES, Submissions

MAX_BATCH = 8 * 1024 * 1024
ITEM_PATH = "/v1/content"
BATCH_PATH = "/v1/content/batch"
REMEMBERED = "nothing of it is known yet; the withdrawal is remembered, and applies to what was created by then"
NOT_DECIDED = {
    "revision_reused": "the revision is known with other content",
    "superseded": "a higher revision is known",
    "withdrawn": "a withdrawal is known that is not older than the revision",
}
LARGER = {ITEM_PATH: MAX_SENT, BATCH_PATH: MAX_BATCH}


def _schema(model: type[BaseModel]) -> Any:
    """The JSON Schema with its definitions in place: `#/$defs/…` would point nowhere in the OpenAPI document."""
    whole = model.model_json_schema()
    definitions = whole.pop("$defs", {})

    def inlined(part: Any) -> Any:
        if isinstance(part, list):
            return [inlined(item) for item in part]
        if not isinstance(part, dict):
            return part
        name = part.get("$ref", "").removeprefix("#/$defs/")
        return {
            **(inlined(definitions[name]) if name else {}),
            **{key: inlined(value) for key, value in part.items() if key != "$ref"},
        }

    return inlined(whole)


_ITEM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _schema(ContentSubmitted)}},
    }
}
_LINES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"One ContentSubmitted a line; {MAX_BATCH >> 20} MiB and {MAX_LINES:,} lines at most.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


def _trace(traceparent: Annotated[str | None, Header()] = None) -> str | None:
    """The trace context to hand on. As W3C Trace Context asks, one that cannot be read is ignored, not refused."""
    return trace_of({"traceparent": traceparent or ""})


Trace = Annotated[str | None, Depends(_trace)]


class Accepted(BaseModel):
    """The revision is stored and will be decided, unless something that is sent later takes its place."""

    source: str
    content_id: str
    revision: int


class Withdrawn(BaseModel):
    """The withdrawal is stored: no revision that was created by `withdrawn_at` needs a decision any more."""

    source: str
    content_id: str
    withdrawn_at: datetime
    known: bool = Field(description="false: nothing of it was sent so far, and the withdrawal is remembered")
    detail: str


class KnownRevisionState(BaseModel):
    """`routed`: its decision or its review follows, and the reviewer API knows it."""

    revision: int
    state: Literal["accepted", "routed", "superseded", "withdrawn"]


class ContentStanding(BaseModel):
    """What was accepted of a piece of content, by revision."""

    source: str
    content_id: str
    revisions: list[KnownRevisionState]


class RefusedLine(BaseModel):
    """A line that was not accepted, and why."""

    line: int = Field(description="counts from 1")
    code: str
    errors: list[ProblemField] = Field(description=f"the first {LISTED} problems")
    error_count: int = Field(description="how many problems there are")


class AcceptedLines(BaseModel):
    """How a batch went. Correct refused lines and send them again; repeats of accepted ones change nothing."""

    accepted: int
    refused_count: int
    refused: list[RefusedLine] = Field(description=f"the first {LISTED} refused lines")
    refused_lines: dict[str, str] = Field(description="all refused lines, by code, like `3,7-9,12`")


def create_router_app(
    submissions: Submissions,
    authenticator: Authenticator,
    health: Health,
    registry: CollectorRegistry,
    reports: Reports,
) -> FastAPI:
    """The router's HTTP application."""
    app = create_app("Second Look router", health, registry, larger_bodies=LARGER)
    app.include_router(routes(submissions, authenticator))
    app.include_router(report_routes(reports, authenticator))
    return app


def _refused(problem: LineProblem) -> RefusedLine:
    error = problem.error
    errors = [ProblemField(field=one.field, problem=one.problem) for one in error.problems]
    return RefusedLine(line=problem.line, code=error.reason, errors=errors, error_count=error.count)


def routes(submissions: Submissions, authenticator: Authenticator) -> APIRouter:
    """The routes under `/v1`. The same strict code reads their bodies and the records of the bus."""
    permitted = Depends(require(authenticator, Permission.CONTENT_SUBMIT))
    Sender = Annotated[Caller, permitted]
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["content"], dependencies=[permitted])

    @router.post(
        "/content", status_code=202, openapi_extra=_ITEM, responses=documented(408, 413, 415, 422, 429, **NOT_DECIDED)
    )
    async def submit(request: Request, sender: Sender, trace: Trace) -> Accepted:
        """Accept one revision of one piece of content; a repeat changes nothing.

        409 says by its `code` why a revision would not be decided: `revision_reused`, it is known with other content;
        `superseded`, a higher one is known; `withdrawn`, a withdrawal is known that is not older than it.
        """
        content = await submissions.submit(await request.body(), sender, trace)
        return Accepted(source=content.source, content_id=content.content_id, revision=content.revision)

    @router.post("/content/batch", status_code=202, openapi_extra=_LINES, responses=documented(408, 413, 415, 422, 429))
    async def submit_lines(request: Request, sender: Sender, trace: Trace) -> AcceptedLines:
        """Accept many, one JSON object a line. Good lines are accepted even when others are refused.

        Of two lines that clash the first stands.
        """
        accepted, refused = await submissions.submit_lines(await request.body(), sender, trace)
        return AcceptedLines(
            accepted=accepted,
            refused_count=refused.count,
            refused=[_refused(problem) for problem in refused.first],
            refused_lines={code: ranges(lines) for code, lines in refused.lines.items()},
        )

    @router.get("/content/{source}/{content_id:id}", responses=documented(404, 422))
    async def read(source: Source, content_id: ContentId, sender: Sender) -> ContentStanding:
        """Where each revision stands here, from the moment when it is accepted. The reviewer API has the decisions."""
        found = await submissions.standing(source, content_id, sender)
        revisions = [KnownRevisionState.model_validate({"revision": n, "state": state}) for n, state in found]
        return ContentStanding(source=source, content_id=content_id, revisions=revisions)

    @router.delete("/content/{source}/{content_id:id}", status_code=202, responses=documented(422))
    async def withdraw(
        source: str,
        content_id: str,
        sender: Sender,
        trace: Trace,
        reason: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> Withdrawn:
        """The content is gone: open reviews of it are closed. Decisions that were made stay.

        A withdrawal may overtake what it withdraws: it is remembered, and applies to what was created before it.
        """
        try:
            accepted = await submissions.withdraw(source, content_id, reason, sender, trace)
        except ValidationError as error:
            raise invalid(error) from error
        detail = "withdrawn" if accepted.known else REMEMBERED
        return Withdrawn(source=source, content_id=content_id, detail=detail, **accepted._asdict())

    return router
