"""Who may call what: every route of every service, with a key of every role and without one."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, get_args
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from secondlook.common.observability import Health
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.http import create_app
from secondlook.common.service.permissions import Role
from secondlook.reviewer_api.feed import routes as feed
from secondlook.reviewer_api.overview import routes as overview
from secondlook.router.api import create_router_app
from secondlook.router.submissions import Submissions
from tests.integration.review_world import World
from tests.integration.router_world import AHEAD, make_world

OPEN = {"GET /healthz", "GET /readyz", "GET /metrics", "GET /problems/{name}"}
EVERYBODY = set(get_args(Role))
ADMIN = {"admin"}
UPSTREAM, LEADS = {"service", "upstream"} | ADMIN, {"lead"} | ADMIN
REVIEWERS = {"moderator", "reviewer"} | LEADS
FIGURES = LEADS | {"policy_owner", "auditor"}
SESSION: dict[str, set[str]] = {  # a session's own: no key opens them, but for the last
    "DELETE /v1/session": set(),
    "POST /v1/session/password": set(),
    "GET /v1/me": EVERYBODY,
}
SIGN_IN = {
    "POST /v1/session",
    "POST /v1/session/link",
    "GET /v1/session/ways",
    "GET /v1/session/oidc",
    "GET /v1/session/oidc/callback",
}  # for anybody on a page of the service
ROUTER: dict[str, set[str]] = {
    "POST /v1/content": UPSTREAM,
    "POST /v1/content/batch": UPSTREAM,
    "GET /v1/content/{source}/{content_id:id}": UPSTREAM,
    "DELETE /v1/content/{source}/{content_id:id}": UPSTREAM,
    "POST /v1/content/{source}/{content_id:id}/reports": UPSTREAM,
}
REVIEWER_API: dict[str, set[str]] = {
    "POST /v1/review/claims": REVIEWERS,
    "POST /v1/review/tasks/{task_id}/decision": REVIEWERS,
    "POST /v1/review/tasks/{task_id}/heartbeat": REVIEWERS,
    "POST /v1/review/tasks/{task_id}/release": REVIEWERS,
    "POST /v1/review/tasks/{task_id}/skip": REVIEWERS,
    "POST /v1/review/tasks/{task_id}/escalate": REVIEWERS,
    "GET /v1/review/leases": REVIEWERS,
    "GET /v1/review/tasks/{task_id}/near": REVIEWERS,
    "GET /v1/review/texts": REVIEWERS,
    "POST /v1/review/texts": REVIEWERS,
    "DELETE /v1/review/texts/{text_id}": REVIEWERS,
    "POST /v1/review/bulks": REVIEWERS,
    "POST /v1/review/bulks/{bulk_id}/undo": REVIEWERS,
    "GET /v1/review/leases/all": LEADS,
    "GET /v1/review/reviewers": LEADS,
    "POST /v1/review/tasks/{task_id}/take-back": LEADS,
    "POST /v1/review/tasks/{task_id}/assign": LEADS,
    "POST /v1/decisions/{decision_id}/undo": REVIEWERS,
    "GET /v1/queues": REVIEWERS,
    "GET /v1/events": REVIEWERS,
    "GET /v1/stats": FIGURES,
    "GET /v1/review/tasks": REVIEWERS,
    "POST /v1/review/leave": REVIEWERS,
    "GET /v1/review/tasks/{task_id}/context": REVIEWERS,
    "GET /v1/authors/{source}/{author_id:id}": UPSTREAM | FIGURES,
    "POST /v1/notes": REVIEWERS,
    "GET /v1/search": EVERYBODY,
    "POST /v1/decisions/{decision_id}/reverse": REVIEWERS,
    "GET /v1/decisions": EVERYBODY,
    "GET /v1/decisions/feed": UPSTREAM | {"auditor"},
    "GET /v1/decisions/stream": UPSTREAM | {"auditor"},
    "GET /v1/webhooks": UPSTREAM,
    "POST /v1/webhooks": UPSTREAM,
    "GET /v1/webhooks/{webhook_id}": UPSTREAM,
    "PATCH /v1/webhooks/{webhook_id}": UPSTREAM,
    "DELETE /v1/webhooks/{webhook_id}": UPSTREAM,
    "POST /v1/webhooks/{webhook_id}/secret": UPSTREAM,
    "POST /v1/webhooks/{webhook_id}/test": UPSTREAM,
    "GET /v1/webhooks/{webhook_id}/deliveries": UPSTREAM,
    "POST /v1/webhooks/{webhook_id}/replay": UPSTREAM,
    "GET /v1/content/{source}/{content_id:id}": EVERYBODY,
    "GET /v1/policies": REVIEWERS | FIGURES,
    "GET /v1/policies/active": REVIEWERS | FIGURES,
    "POST /v1/policies": LEADS | {"policy_owner"},
    "POST /v1/policies/check": REVIEWERS | FIGURES,
    "GET /v1/quality": FIGURES,
    "POST /v1/policies/simulate": LEADS | {"policy_owner"},
    "POST /v1/bundles/{bundle_version}/promote": LEADS | {"policy_owner"},
    "POST /v1/bundles/rollback": LEADS | {"policy_owner"},
    "GET /v1/operations/{operation_id}": FIGURES,
    "GET /v1/accounts": ADMIN,
    "POST /v1/accounts": ADMIN,
    "PATCH /v1/accounts/{account_id}": ADMIN,
    "POST /v1/accounts/{account_id}/link": ADMIN,
    "GET /v1/keys": ADMIN,
    "POST /v1/keys": ADMIN,
    "DELETE /v1/keys/{key_id}": ADMIN,
    "GET /v1/audit-log": ADMIN | {"auditor"},
}
FILLED = {
    "name": "invalid",
    "source": "forum",
    "content_id:id": "a",
    "task_id": str(uuid4()),
    "webhook_id": str(uuid4()),
    "bulk_id": str(uuid4()),
    "text_id": str(uuid4()),
    "bundle_version": "b1",
    "operation_id": str(uuid4()),
    "decision_id": str(uuid4()),
    "account_id": str(uuid4()),
    "author_id:id": "a",
    "key_id": "00000000",
}
CONSOLE = {"GET /", "GET /assets/{name}"}  # for anybody: the page that people log in on
REFUSED = (401, 403)


def routes(app: FastAPI) -> set[str]:
    """Method and path of each route, found in the application and found to be described."""
    found = {f"{method} {route.path}" for route in walk(app.routes) for method in route.methods or ()}
    described = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    assert {route.replace(":id}", "}") for route in found} == described
    return found


def walk(among: Iterable[Any]) -> Iterator[APIRoute]:
    for route in among:
        if isinstance(route, APIRoute):
            assert isinstance(route, GuardedRoute), f"{route.path}: APIRouter(route_class=GuardedRoute) makes it one"
            yield route
        elif inner := getattr(route, "original_router", None):  # newer FastAPI keeps included routers whole
            yield from walk(inner.routes)


async def may(app: FastAPI, keys: ApiKeys) -> dict[str, set[str]]:
    """The roles that each route does not turn away; of a route that turns nobody away, also the role `nobody`."""
    of_role = {role: await keys.create(role, role) for role in get_args(Role)}
    found: dict[str, set[str]] = {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        for route in routes(app):
            method, path = re.sub(r"{([^}]+)}", lambda name: FILLED[name[1]], route).split()
            for role, key in [("nobody", None), *of_role.items()]:
                more: dict[str, Any] = {"json": {}} if method in ("POST", "PATCH") else {}
                headers = {"Authorization": f"Bearer {key}"} if key else {}
                answer = await client.request(method, path, headers=headers, **more)
                assert answer.status_code != 500, (route, role)
                if key is None and route not in OPEN | SIGN_IN | CONSOLE:
                    assert answer.status_code == 401, route
                if answer.status_code not in REFUSED:
                    found.setdefault(route, set()).add(role)
    return found


async def unread(app: FastAPI, keys: ApiKeys, allowed: dict[str, set[str]]) -> None:
    """Whoever may not call a route is answered without a look at the body, and so is a parameter that it lacks."""
    of_role = {role: await keys.create(role, role) for role in get_args(Role)}
    for route in set(allowed) - OPEN:
        method, path = re.sub(r"{([^}]+)}", lambda name: FILLED[name[1]], route).split()
        for role, key in [("nobody", None), *of_role.items()]:
            status = 401 if key is None else 422 if role in allowed[route] else 403
            assert await _without_body(app, method, path, key) == status, (route, role)


async def _without_body(app: FastAPI, method: str, path: str, key: str | None) -> int:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"99999999999")]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"no_such_parameter=1", "root_path": "",
        "headers": headers + ([(b"authorization", f"Bearer {key}".encode())] if key else []),
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body is read")

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert (b"connection", b"close") in sent[0]["headers"]
    return int(sent[0]["status"])


@pytest.fixture
def everybody() -> dict[str, set[str]]:
    return {route: {"nobody", *get_args(Role)} for route in OPEN}


async def test_routes_of_the_router(database_url: str, everybody: dict[str, set[str]]) -> None:
    async with make_world(database_url) as world:
        keys = ApiKeys(world.database, world.clock)
        submissions = Submissions(world.transactions, world.clock, world.metrics, AHEAD)
        app = create_router_app(submissions, keys, Health(), world.registry, world.reports())
        assert await may(app, keys) == ROUTER | everybody
        await unread(app, keys, ROUTER)


async def test_routes_of_the_reviewer_api(
    database_url: str, everybody: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "LONGEST", 0.05)  # streams would not end here
    monkeypatch.setattr(feed, "LONGEST", 0.05)
    async with World.open(database_url) as world:
        for_anybody = everybody | {route: {"nobody", *EVERYBODY} for route in SIGN_IN | CONSOLE}
        opened = {route: roles for route, roles in SESSION.items() if roles}
        assert await may(world.api.app, world.api.keys) == REVIEWER_API | opened | for_anybody
        assert routes(world.api.app) >= set(SESSION)
        await unread(world.api.app, world.api.keys, REVIEWER_API)


def test_routes_of_the_trainer() -> None:
    """It has those only that every service has."""
    assert routes(create_app("Second Look trainer", Health(), CollectorRegistry())) == OPEN
