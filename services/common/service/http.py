"""What the HTTP side of every service shares: limits, RFC 9457 problems, health and metrics routes."""

from collections.abc import Awaitable, Callable
from traceback import clear_frames

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from secondlook.common.errors import LISTED, BusUnavailable, FieldProblem, InvalidInput, NotFound, SecondLookError
from secondlook.common.http.answers import from_error, problem
from secondlook.common.http.intake import Intake
from secondlook.common.http.limits import described
from secondlook.common.http.problem_type import PREFIX
from secondlook.common.http.problem_types import TYPES
from secondlook.common.observability import Health
from secondlook.common.postgres import TRANSIENT
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.problems import describe_problems, documented

log = structlog.get_logger()


async def _on_error(_: Request, error: Exception) -> JSONResponse:
    _let_go(error)
    return from_error(error)


async def _on_validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    _let_go(error)
    found = error.errors()
    problems = [FieldProblem(".".join(map(str, item["loc"][1:])), item["msg"]) for item in found[:LISTED]]
    return from_error(InvalidInput(problems, count=len(found)))


def _let_go(error: BaseException | None) -> None:
    """Free what the frames of a refused request hold, such as its body.

    Errors and frames refer to each other: it would stay until the next collection, many requests later.
    """
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    answer = problem(error.status_code, str(error.detail), str(error.detail))
    answer.headers.update(error.headers or {})  # 405 must name the methods allowed
    return answer


async def _on_disconnect(request: Request, _: Exception) -> JSONResponse:
    """The caller went away in the middle of the body. Nobody reads the answer, and nothing is wrong here."""
    log.info("client disconnected", method=request.method, path=request.url.path)
    return problem(400, "Client disconnected", "the body did not arrive in full")


async def _on_transient(_: Request, error: Exception) -> JSONResponse:
    log.warning("unavailable", error=repr(error))
    what = "the event bus" if isinstance(error, BusUnavailable) else "the database"
    detail = f"{what} does not answer now; send it again, a repeat changes nothing"
    return problem(503, "Unavailable", detail, word="unavailable")


async def _on_fault(_: Request, error: Exception) -> JSONResponse:
    log.error("request failed", exc_info=error)
    return problem(500, "Internal error", "this is a fault of the service; it was logged")


def create_app(
    title: str, health: Health, registry: CollectorRegistry, *, larger_bodies: dict[str, int] | None = None
) -> FastAPI:
    """A FastAPI application with limits, problem documents, `/healthz`, `/readyz`, `/metrics` and docs at `/docs`.

    `larger_bodies` gives paths whose bodies may be larger than others their limit in bytes.
    """
    app = FastAPI(title=title, version="1", redoc_url=None, description=f"## Limits\n\n{described()}")
    app.router.route_class = GuardedRoute
    app.add_middleware(Intake, larger=larger_bodies or {})
    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[JSONResponse]]] = {
        SecondLookError: _on_error,
        RequestValidationError: _on_validation,
        HTTPException: _on_http,
        ClientDisconnect: _on_disconnect,
        Exception: _on_fault,
        **{kind: _on_transient for kind in TRANSIENT},
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)

    @app.get("/healthz", tags=["operations"])
    async def healthz() -> dict[str, str]:
        """The process runs and answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operations"])
    async def readyz() -> Response:
        """200 when the service does its work, 503 with the reasons when it does not."""
        reasons = health.reasons()
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    @app.get("/metrics", tags=["operations"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Prometheus metrics."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get(PREFIX + "{name}", tags=["operations"], response_class=PlainTextResponse, responses=documented(404))
    async def problem_type(name: str) -> str:
        """What a problem's `type` means, and what to do."""
        if name not in TYPES:
            raise NotFound(f"there is no such type of problem; there are {', '.join(TYPES)}")
        return f"{name}: {TYPES[name].page()}"

    describe_problems(app)
    return app
