"""Problem documents in the OpenAPI description."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from secondlook.common.errors import LISTED
from secondlook.common.http.answers import PROBLEM_TYPE

MEANING = {
    401: "No credential, or one that is unknown, revoked or over",
    403: "The caller lacks the permission for this",
    404: "Unknown",
    408: "The body did not arrive in time",
    409: "The state moved on; `code` says how",
    413: "The body is too large",
    422: "The request breaks its contract; `errors` names the fields",
    415: "The body's encoding is neither gzip nor zstd",
    429: "Too many tries failed, too much waits, or this key asks too fast; try again after `Retry-After` seconds",
    503: "The database does not answer, or too many requests wait; send it again after `Retry-After` seconds",
}


class ProblemField(BaseModel):
    """One field that is wrong, and why."""

    field: str = Field(description="dotted path, empty for the whole body")
    problem: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="where the service explains this kind of problem, like `/problems/invalid`")
    title: str
    status: int
    detail: str
    code: str | None = Field(None, description="stable word, with 409 and 422")
    errors: list[ProblemField] | None = Field(None, description=f"the first {LISTED} problems, with 422 and 413")
    error_count: int | None = Field(None, description="how many problems there are")


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


def describe_problems(app: FastAPI) -> None:
    """Put the Problem schema, to which routes refer by name, into the OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        described = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(described.pop("$defs", {}))
        schemas["Problem"] = described
        return document

    app.openapi = openapi  # type: ignore[method-assign]
