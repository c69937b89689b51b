"""The route that every service's routes are made of: it turns callers away before it reads what they send."""

import json
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.types import Receive, Scope

from secondlook.common.errors import FieldProblem, InvalidInput
from secondlook.common.http.turns import LARGE, Turns
from secondlook.common.outline import MAX_MEMBERS, holds_more_than
from secondlook.common.service.authentication import Require

WAITING = 32  # large bodies that may wait, at one route, while another is read


class IdConvertor(Convertor[str]):
    """`{name:id}`: the rest of a path, whatever it holds. Starlette's own, `path`, ends at a line break."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", IdConvertor())


class GuardedRoute(APIRoute):
    """A route that asks, in this order: who calls, and may they; does it know all parameters; then, what the body is.

    FastAPI alone reads and parses the body first, for anybody. `APIRouter(route_class=GuardedRoute)` makes routes so.
    """

    knows_all_parameters = True

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        parts = list(_all(self.dependant))
        guards = [part.call for part in parts if isinstance(part.call, Require)]
        known = sorted({field.alias for part in parts for field in part.query_params})
        turns = Turns(at_once=1, waiting=WAITING)
        has_body = self.body_field is not None

        async def guarded(request: Request) -> Response:
            for guard in guards:
                await guard.admit(request)
            if self.knows_all_parameters:
                _check_query(request, known)
            if has_body:
                body = await request.body()
                read = partial(_read, body)
                value = await turns.run(read) if len(body) > LARGE else read()
                request = _Read(request.scope, request.receive, body, value)
            return await handle(request)

        return guarded


class ReturnRoute(GuardedRoute):
    """A route to which another site sends browsers, with parameters of its own that are ignored."""

    knows_all_parameters = False


class _Read(Request):
    """A request whose body was read."""

    def __init__(self, scope: Scope, receive: Receive, body: bytes, value: Any) -> None:
        super().__init__(scope, receive)
        self._body, self._value = body, value

    async def json(self) -> Any:
        return self._value


def _read(body: bytes) -> Any:
    if holds_more_than(MAX_MEMBERS, body):
        raise InvalidInput(f"the body holds more than {MAX_MEMBERS:,} fields and values; no request needs so many")
    try:
        return json.loads(body) if body else None
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at position {error.pos}") from error
    except RecursionError as error:
        raise _malformed("nested too deep") from error
    except UnicodeDecodeError as error:
        raise _malformed("it is not UTF-8") from error
    except ValueError as error:
        raise _malformed("a number is too long") from error


def _malformed(what: str) -> InvalidInput:
    return InvalidInput(f"Invalid JSON: {what}", reason="malformed")


def _all(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for part in dependant.dependencies:
        yield from _all(part)


def _check_query(request: Request, known: list[str]) -> None:
    unknown = sorted({*request.query_params} - {*known})
    if unknown:
        what = f"is no parameter of this route, which knows {', '.join(known)}" if known else "this route takes none"
        raise InvalidInput([FieldProblem(name, what) for name in unknown], reason="unknown_parameter")
