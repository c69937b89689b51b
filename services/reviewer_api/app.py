"""The HTTP application: the slices' routes on the app that all services share."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry

from secondlook.common.errors import Conflict
from secondlook.common.http.answers import from_error
from secondlook.common.http.limits import MIB
from secondlook.common.observability import Health
from secondlook.common.service.http import create_app
from secondlook.reviewer_api.metrics import ReviewerMetrics

LARGER = {"/v1/policies": MIB, "/v1/policies/check": MIB, "/v1/policies/simulate": MIB}  # bytes of a body
Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of the service: its routes, and by name what it runs beside them until the service stops."""

    routes: APIRouter
    work: Mapping[str, Work] = field(default_factory=dict)


def create_reviewer_app(
    slices: Iterable[Slice], health: Health, registry: CollectorRegistry, metrics: ReviewerMetrics
) -> FastAPI:
    """The application over the slices, which are made elsewhere."""
    app = create_app("Second Look reviewer API", health, registry, larger_bodies=LARGER)

    async def on_conflict(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Conflict)  # noqa: S101
        metrics.conflicts.labels(error.code).inc()
        return from_error(error)

    app.add_exception_handler(Conflict, on_conflict)
    for part in slices:
        app.include_router(part.routes)
    return app
