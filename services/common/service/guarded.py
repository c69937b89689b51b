"""The route that every service's routes are made of: it turns callers away before it reads what they send."""

import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from secondlook.common.errors import FieldProblem, InvalidInput
from secondlook.common.outline import MAX_MEMBERS, holds_more_than
from secondlook.common.service.authentication import Require


class GuardedRoute(APIRoute):
    """A route that asks, in this order: who calls, and may they; does it know all parameters; then, what the body is.

    FastAPI alone reads and parses the body first, for anybody. `APIRouter(route_class=GuardedRoute)` makes routes so.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        parts = list(_all(self.dependant))
        guards = [part.call for part in parts if isinstance(part.call, Require)]
        known = sorted({field.alias for part in parts for field in part.query_params})

        async def guarded(request: Request) -> Response:
            for guard in guards:
                await guard.admit(request)
            _check_query(request, known)
            return await handle(_JsonRequest(request.scope, request.receive))

        return guarded


class _JsonRequest(Request):
    async def json(self) -> Any:
        value = json.loads(await self.body())
        if holds_more_than(MAX_MEMBERS, value):
            raise InvalidInput(f"the body holds more than {MAX_MEMBERS:,} fields and values; no request needs so many")
        return value


def _all(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for part in dependant.dependencies:
        yield from _all(part)


def _check_query(request: Request, known: list[str]) -> None:
    unknown = sorted({*request.query_params} - {*known})
    if unknown:
        what = f"is no parameter of this route, which knows {', '.join(known)}" if known else "this route takes none"
        raise InvalidInput([FieldProblem(name, what) for name in unknown], reason="unknown_parameter")
