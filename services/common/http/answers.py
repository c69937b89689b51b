"""RFC 9457 problem documents."""

from collections.abc import Sequence
from typing import Any

from fastapi.responses import JSONResponse

from secondlook.common.errors import (
    Busy,
    Conflict,
    FieldProblem,
    Forbidden,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    PolicyRejected,
    ReportReused,
    RevisionPassed,
    RevisionReused,
    TooFast,
    TooManyTries,
    TooSlow,
    Unauthenticated,
    UnknownEncoding,
)
from secondlook.common.http.encodings import DECODERS
from secondlook.common.http.limits import RETRY_SECONDS
from secondlook.common.http.problem_types import type_of
from secondlook.common.printable import cut

PROBLEM_TYPE = "application/problem+json"
MAX_DETAIL = 4_000  # characters

# Status and stable word. The first class that matches counts, so the special ones stand before the general.
STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (PayloadTooLarge, 413, "too_large"),
    (RevisionReused, 409, "revision_reused"),
    (ReportReused, 409, "report_reused"),
    (RevisionPassed, 409, "superseded"),
    (InvalidInput, 422, "invalid"),
    (PolicyRejected, 422, "policy_rejected"),
    (Unauthenticated, 401, "unauthenticated"),
    (TooManyTries, 429, "too_many_tries"),
    (TooFast, 429, "rate_limited"),
    (UnknownEncoding, 415, "unknown_encoding"),
    (Forbidden, 403, "forbidden"),
    (NotFound, 404, "not_found"),
    (TooSlow, 408, "too_slow"),
    (Conflict, 409, "conflict"),
    (Busy, 503, "busy"),
)


def problem(status: int, title: str, detail: str, *, word: str = "", **more: Any) -> JSONResponse:
    """A problem document; `word` names its type where the status does not."""
    body = {
        "type": type_of(status, word),
        "title": title,
        "status": status,
        "detail": cut(detail, MAX_DETAIL),
        **more,
    }
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_SECONDS)}}.get(status)
    return JSONResponse(body, status, media_type=PROBLEM_TYPE, headers=headers)


def from_error(error: Exception) -> JSONResponse:
    """The problem document of an error of the tree."""
    status, word = next(((status, word) for kind, status, word in STATUS if isinstance(error, kind)), (500, "fault"))
    more: dict[str, Any] = {}
    if isinstance(error, InvalidInput):
        word = error.reason
        more = {"code": error.reason, "errors": listed(error.problems), "error_count": error.count}
    elif isinstance(error, Conflict | TooFast):
        word = error.code
        more = {"code": error.code}
    answer = problem(status, type(error).__name__, str(error), word=word, **more)
    if isinstance(error, TooManyTries | TooFast):
        answer.headers["Retry-After"] = str(error.seconds)
    elif isinstance(error, UnknownEncoding):
        answer.headers["Accept-Encoding"] = ", ".join(DECODERS)
    return answer


def listed(problems: Sequence[FieldProblem]) -> list[dict[str, str]]:
    """Problems of fields as they stand in an answer."""
    return [{"field": problem.field, "problem": problem.problem} for problem in problems]
