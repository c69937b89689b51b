"""The HTTP application: the slices' routes on the app that all services share."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry

from secondlook.common.errors import Conflict
from secondlook.common.observability import Health
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.http import create_app, from_error
from secondlook.common.service.problems import Problem
from secondlook.reviewer_api.decisions import routes as decisions
from secondlook.reviewer_api.decisions.service import DecisionService
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.policies import routes as policies
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.reviewer_api.review import routes as review
from secondlook.reviewer_api.review.queues import QueueService
from secondlook.reviewer_api.review.service import ReviewService


def create_reviewer_app(
    *,
    reviews: ReviewService,
    queues: QueueService,
    decision_service: DecisionService,
    policy_service: PolicyService,
    keys: ApiKeys,
    health: Health,
    registry: CollectorRegistry,
    metrics: ReviewerMetrics,
    show_scores: bool,
) -> FastAPI:
    """The application over use cases that are made elsewhere."""
    app = create_app("Second Look reviewer API", health, registry)

    async def on_conflict(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Conflict)  # noqa: S101
        metrics.conflicts.labels(error.code).inc()
        return from_error(error)

    app.add_exception_handler(Conflict, on_conflict)
    app.include_router(review.routes(reviews, queues, keys, show_scores=show_scores))
    app.include_router(decisions.routes(decision_service, keys))
    app.include_router(policies.routes(policy_service, keys))
    _describe_problems(app)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Routes refer to the Problem schema by name; here it is put into the OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        described = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(described.pop("$defs", {}))
        schemas["Problem"] = described
        return document

    app.openapi = openapi  # type: ignore[method-assign]
