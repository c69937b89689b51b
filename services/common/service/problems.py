"""Problem documents in the OpenAPI description."""

from typing import Any

from pydantic import BaseModel, Field

from secondlook.common.service.http import PROBLEM_TYPE

MEANING = {
    401: "No API key, or one that is unknown or revoked",
    403: "The caller lacks the permission for this",
    404: "Unknown",
    409: "The state moved on; `code` says how",
    413: "The body is too large",
    422: "The request breaks its contract; `errors` names the fields",
    503: "The database does not answer; send it again",
}


class ProblemField(BaseModel):
    """One field that is wrong, and why."""

    field: str = Field(description="dotted path, empty for the whole body")
    problem: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str | None = Field(None, description="stable word, with 409 and 422")
    errors: list[ProblemField] | None = None


def documented(*statuses: int, **codes: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: problems that any route has, these ones, and what each 409 `code` means."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({401, 403, 503, *statuses, *([409] if codes else [])}):
        told = [f"`{code}`: {meaning}" for code, meaning in codes.items()] if status == 409 else []
        found[status] = {
            "description": ". ".join([MEANING[status], *told]),
            "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return found
