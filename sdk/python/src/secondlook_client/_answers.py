"""Reads answers: the contract's types, or typed errors. Pure."""

from collections.abc import Callable
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from secondlook_client.errors import BY_STATUS, ClientError, ProblemError, UnexpectedAnswer
from secondlook_client.models import Problem
from secondlook_client.retries import retry_after

Model = TypeVar("Model", bound=BaseModel)


def reader(kind: type[Model]) -> Callable[[bytes], Model]:
    """Reads a body as this type; raises UnexpectedAnswer where it is not."""

    def read(body: bytes) -> Model:
        try:
            return kind.model_validate_json(body)
        except ValidationError as error:
            raise UnexpectedAnswer(f"the answer is no {kind.__name__}: {_problems(error)}") from error

    return read


def error_of(answer: httpx.Response) -> ClientError | None:
    """The error that an answer stands for; its body has been read. None for what went well."""
    status = answer.status_code
    if 200 <= status < 300:
        return None
    after = retry_after(answer.headers.get("Retry-After"))
    problem = _problem(answer)
    if problem is not None:
        return BY_STATUS.get(status, ProblemError)(problem, after)
    if status in BY_STATUS and status >= 429:  # what stands before the service may answer in its own words
        told = Problem(type="about:blank", title=answer.reason_phrase, status=status, detail=f"{_named(answer)}")
        return BY_STATUS[status](told.model_copy(update={"code": "unavailable" if status > 429 else "busy"}), after)
    return UnexpectedAnswer(f"{_named(answer)}, without a problem document: is it Second Look?")


def _named(answer: httpx.Response) -> str:
    request = answer.request
    return f"{request.method} {request.url.scheme}://{request.url.netloc.decode()} answers {answer.status_code}"


def _problem(answer: httpx.Response) -> Problem | None:
    if answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/problem+json":
        return None
    try:
        return Problem.model_validate_json(answer.content)
    except ValidationError:
        return None


def _problems(error: ValidationError) -> str:
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in found[:3])
