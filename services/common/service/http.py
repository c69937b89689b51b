"""What the HTTP side of every service shares: RFC 9457 problems, a body limit, health and metrics routes."""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from secondlook.common.errors import (
    BusUnavailable,
    Conflict,
    FieldProblem,
    Forbidden,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    PolicyRejected,
    RevisionPassed,
    RevisionReused,
    SecondLookError,
    Unauthenticated,
)
from secondlook.common.observability import Health
from secondlook.common.postgres import TRANSIENT

PROBLEM_TYPE = "application/problem+json"
MAX_BODY = 1024 * 1024

# The first class that matches counts, so the special ones stand before the general.
STATUS: tuple[tuple[type[Exception], int], ...] = (
    (PayloadTooLarge, 413),
    (RevisionReused, 409),
    (RevisionPassed, 409),
    (InvalidInput, 422),
    (PolicyRejected, 422),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
)

log = structlog.get_logger()


def problem(status: int, title: str, detail: str, **more: Any) -> JSONResponse:
    """An RFC 9457 problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Retry-After": "1"} if status == 503 else None
    return JSONResponse(body, status, media_type=PROBLEM_TYPE, headers=headers)


def from_error(error: Exception) -> JSONResponse:
    """The problem document of an error of the tree."""
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    more: dict[str, Any] = {}
    if isinstance(error, InvalidInput):
        more = {
            "code": error.reason,
            "errors": [{"field": p.field, "problem": p.problem} for p in error.problems],
        }
    elif isinstance(error, Conflict):
        more = {"code": error.code}
    return problem(status, type(error).__name__, str(error), **more)


async def _on_error(_: Request, error: Exception) -> JSONResponse:
    return from_error(error)


async def _on_validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    unread = next((item for item in error.errors() if item["type"] == "json_invalid"), None)
    if unread is not None:
        return _malformed(f"Invalid JSON: {unread['ctx']['error']} at position {unread['loc'][-1]}")
    problems = [FieldProblem(".".join(map(str, item["loc"][1:])), item["msg"]) for item in error.errors()]
    return from_error(InvalidInput(problems))


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    cause = error.__cause__
    if isinstance(cause, ClientDisconnect):
        return await _on_disconnect(request, cause)
    if error.status_code == 400 and isinstance(cause, ValueError | RecursionError):
        # FastAPI could not read the body, and gives no reason.
        return _malformed(f"Invalid JSON: {_unreadable(cause)}")
    answer = problem(error.status_code, str(error.detail), str(error.detail))
    answer.headers.update(error.headers or {})  # 405 must name the methods allowed
    return answer


def _malformed(what: str) -> JSONResponse:
    return from_error(InvalidInput([FieldProblem("", what)], reason="malformed"))


def _unreadable(cause: BaseException) -> str:
    if isinstance(cause, RecursionError):
        return "nested too deep"
    return "it is not UTF-8" if isinstance(cause, UnicodeDecodeError) else "a number is too long"


async def _on_disconnect(request: Request, _: Exception) -> JSONResponse:
    """The caller went away in the middle of the body. Nobody reads the answer, and nothing is wrong here."""
    log.info("client disconnected", method=request.method, path=request.url.path)
    return problem(400, "Client disconnected", "the body did not arrive in full")


async def _on_transient(_: Request, error: Exception) -> JSONResponse:
    log.warning("unavailable", error=repr(error))
    what = "the event bus" if isinstance(error, BusUnavailable) else "the database"
    return problem(503, "Unavailable", f"{what} does not answer now; send it again, a repeat changes nothing")


async def _on_fault(_: Request, error: Exception) -> JSONResponse:
    log.error("request failed", exc_info=error)
    return problem(500, "Internal error", "this is a fault of the service; it was logged")


class BodyLimit:
    """ASGI middleware: a body of more than `limit` bytes is answered 413 and never held in memory."""

    def __init__(self, app: Any, limit: int, larger: dict[str, int]) -> None:
        self._app, self._limit, self._larger = app, limit, larger

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], self._limit)
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        refusal = PayloadTooLarge(f"the body is larger than {limit} bytes")
        size, started, refused = 0, False, not declared.isdigit() or int(declared) > limit

        async def limited() -> Any:
            nonlocal size, refused
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                refused = not started
                raise refusal
            return message

        async def watched(message: Any) -> None:
            nonlocal started
            if not refused:  # what the framework makes of the refusal (a 400) is not the answer
                started = True
                await send(message)

        if not refused:
            try:
                await self._app(scope, limited, watched)
            except PayloadTooLarge:
                if not refused:
                    raise
        if refused:
            await from_error(refusal)(scope, receive, send)


def create_app(
    title: str, health: Health, registry: CollectorRegistry, *, larger_bodies: dict[str, int] | None = None
) -> FastAPI:
    """A FastAPI application with problem documents, `/healthz`, `/readyz`, `/metrics` and docs at `/docs`."""
    app = FastAPI(title=title, version="1", redoc_url=None)
    app.add_middleware(BodyLimit, limit=MAX_BODY, larger=larger_bodies or {})
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

    return app
