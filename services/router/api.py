"""The router's HTTP routes: content in. Decisions are read from the bus or from the reviewer API."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ValidationError

from secondlook.common.bus.wire import MAX_SENT, problems
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.errors import InvalidInput
from secondlook.common.observability import Health
from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.http import create_app
from secondlook.common.service.permissions import Permission
from secondlook.router.submissions import MAX_LINES, Submissions

MAX_BATCH = 8 * 1024 * 1024
ITEM_PATH = "/v1/content"
BATCH_PATH = "/v1/content/batch"


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
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def _trace(traceparent: Annotated[str | None, Header()] = None) -> str | None:
    """The trace context to hand on. As W3C Trace Context asks, one that cannot be read is ignored, not refused."""
    return traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else None


Trace = Annotated[str | None, Depends(_trace)]


class Accepted(BaseModel):
    """The revision is stored and will be decided."""

    source: str
    content_id: str
    revision: int


class RefusedLine(BaseModel):
    """A line that was not accepted, and why."""

    line: int
    code: str
    errors: list[dict[str, str]]


class AcceptedLines(BaseModel):
    """How a batch went. Correct refused lines and send them again; repeats of accepted ones change nothing."""

    accepted: int
    refused: list[RefusedLine]


def create_router_app(
    submissions: Submissions, authenticator: Authenticator, health: Health, registry: CollectorRegistry
) -> FastAPI:
    """The router's HTTP application."""
    app = create_app("Second Look router", health, registry, larger_bodies={ITEM_PATH: MAX_SENT, BATCH_PATH: MAX_BATCH})
    app.include_router(routes(submissions, authenticator))
    return app


def routes(submissions: Submissions, authenticator: Authenticator) -> APIRouter:
    """The routes under `/v1`. The same strict code reads their bodies and the records of the bus."""
    permitted = Depends(require(authenticator, Permission.CONTENT_SUBMIT))
    router = APIRouter(prefix="/v1", tags=["content"], dependencies=[permitted])

    @router.post("/content", status_code=202, openapi_extra=_ITEM)
    async def submit(request: Request, trace: Trace) -> Accepted:
        """Accept one revision of one piece of content; a repeat changes nothing."""
        content = await submissions.submit(await request.body(), trace)
        return Accepted(source=content.source, content_id=content.content_id, revision=content.revision)

    @router.post("/content/batch", status_code=202, openapi_extra=_LINES)
    async def submit_lines(request: Request, trace: Trace) -> AcceptedLines:
        """Accept many, one JSON object a line. Good lines are accepted even when others are refused."""
        accepted, refused = await submissions.submit_lines(await request.body(), trace)
        return AcceptedLines(
            accepted=accepted,
            refused=[
                RefusedLine(
                    line=problem.line,
                    code=problem.error.reason,
                    errors=[{"field": p.field, "problem": p.problem} for p in problem.error.problems],
                )
                for problem in refused
            ],
        )

    @router.delete("/content/{source}/{content_id:path}", status_code=202)
    async def withdraw(
        source: str,
        content_id: str,
        trace: Trace,
        reason: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> dict[str, str]:
        """The content is gone: open reviews of it are closed. Decisions that were made stay."""
        try:
            await submissions.withdraw(source, content_id, reason, trace)
        except ValidationError as error:
            raise InvalidInput(problems(error)) from error
        return {"source": source, "content_id": content_id}

    return router
