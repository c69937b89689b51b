"""Every route of every service is called with what its description allows, and with what it does not (Schemathesis).

`EXAMPLES=500` tries longer.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import chain, cycle, repeat
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from bench.deployment import Deployment, deployment
from secondlook.common.service.authentication import SESSION_COOKIE
from tests.acceptance.test_up import FAST

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("EXAMPLES", "15"))  # of each route, right ones and as many wrong ones
LISTED = "EXAMPLES" in os.environ  # how each route answered
ENDLESS = {"/v1/events", "/v1/decisions/stream"}  # streams
CHECKS = [schemathesis.checks.not_a_server_error, status_code_conformance, content_type_conformance,
          response_schema_conformance, ignored_auth]  # fmt: skip
REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
SIGN_IN = {"POST /v1/session", "POST /v1/session/link"}
# For a session's cookie alone; an API key is refused. In this order: the last one ends the session.
HELD = 4  # items at a time
OF_SESSIONS = ["POST /v1/session/password", "DELETE /v1/session"]
ITEMS, ITEM = 60, {"source": "forum", "content_id": "c0", "author_id": "ann"}


@dataclass
class Service:
    """A service, and what opens all of its routes."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    session: dict[str, str] = field(default_factory=dict)  # the headers of somebody who signed in
    known: Callable[[], list[dict[str, Any]]] = list  # parameters and fields that stand for something


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """Whatever is generated, each element on a line of its own."""
    return b"\n".join(json.dumps(line).encode() for line in (value if isinstance(value, list) else [value]))


def test_no_route_fails_whatever_it_is_sent(data_dir: Path, port: int) -> None:
    with deployment(data_dir, port, FAST) as system:
        troubles = [trouble for service in services(system) for trouble in calls(service)]
    assert not troubles, "\n\n".join(troubles)


def services(system: Deployment) -> Iterator[Service]:
    """Each service, the reviewer API with items that the caller holds and with somebody who signed in."""
    workspace = system.workspace
    upstream = {"Authorization": f"Bearer {workspace.keys['upstream']}"}
    made = system.command("keys", "create", "every-route", "--role", "admin")
    admin = {"Authorization": f"Bearer {next(word for word in made.split() if word.startswith('sl_'))}"}
    send(workspace.router_url, upstream)
    with httpx.Client(base_url=workspace.api_url, headers=admin, timeout=20) as client:
        other, _ = account(client, "other")
        _, token = account(client, "signs-in")
        origin = {"Origin": workspace.api_url}
        answer = client.post("/v1/session/link", json={"token": token}, headers=origin)
        cookie = answer.headers["set-cookie"].partition(";")[0]
        assert cookie.startswith(SESSION_COOKIE), cookie
        known = {"account_id": other, "reviewer": client.get("/v1/me").json()["subject"], **ITEM}
        yield Service(workspace.router_url, upstream, known=lambda: [known])
        yield Service(workspace.trainer_url)
        session = {"Cookie": cookie, **origin}
        yield Service(workspace.api_url, admin, session, lambda: [{**known, **item} for item in held(client)])


def account(client: httpx.Client, username: str) -> tuple[str, str]:
    """The id of somebody's account, and the token of a link that signs them in."""
    made = client.post("/v1/accounts", json={"username": f"{username}-{time.monotonic_ns()}", "role": "moderator"})
    assert made.status_code == HTTPStatus.CREATED, made.text
    return made.json()["account"]["account_id"], made.json()["link_token"]


def send(url: str, upstream: dict[str, str]) -> None:
    """Send the items, which go to review: there is no classifier yet."""
    for number in range(ITEMS):
        created_at = datetime.now(UTC).isoformat()
        item = {**ITEM, "content_id": f"c{number}", "revision": 1, "text": f"text {number}", "created_at": created_at}
        sent = httpx.post(f"{url}/v1/content", json=item, headers=upstream)
        assert sent.status_code == HTTPStatus.ACCEPTED, sent.text


def held(client: httpx.Client) -> list[dict[str, Any]]:
    """Items that the caller holds now, and decisions that were made.

    The caller assigns them to itself: it has given back too many to claim more.
    """
    me = {"reviewer": client.get("/v1/me").json()["subject"]}
    for waiting in client.get("/v1/review/tasks").json()["tasks"]:
        if len(client.get("/v1/review/leases").json()["tasks"]) >= HELD:
            break
        client.post(f"/v1/review/tasks/{waiting['task_id']}/assign", json=me)
    tasks = client.get("/v1/review/leases").json()["tasks"]
    decisions = [each["decision_id"] for each in client.get("/v1/decisions").json()["decisions"]]
    labels = sorted(client.get("/v1/policies/active").json()["policy"]["labels"])
    verdicts = cycle([{"outcome": "approve", "labels": []}, {"outcome": "reject", "labels": labels[:1]}])
    return [
        {
            "task_id": task["task_id"], "task_ids": [task["task_id"]], "lease_token": task["lease_token"],
            "content_id": task["content"]["content_id"], "decision_id": decision_id or task["task_id"], **verdict,
        }
        for task, decision_id, verdict in zip(tasks, chain(decisions, repeat(None)), verdicts, strict=False)
    ]  # fmt: skip


def calls(service: Service) -> Iterator[str]:
    """What is wrong with the answers of a service."""
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    operations = {}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operations[found.ok().label] = found.ok()
    for operation in operations.values():
        if operation.path not in ENDLESS:
            yield from troubles_of(operation, service, service.headers)
    if service.session:
        for label in OF_SESSIONS:
            yield from troubles_of(operations[label], service, service.session)


def troubles_of(operation: Any, service: Service, headers: dict[str, str]) -> Iterator[str]:
    """What is wrong with the answers of a route."""
    answered: Counter[int] = Counter()
    for mode in GenerationMode:
        try:
            call(operation, mode, headers, answered, service.known())
        except Unsatisfiable:  # it takes nothing that could be wrong
            assert mode is GenerationMode.NEGATIVE, operation.label
        except (Exception, FailureGroup) as trouble:  # whatever it is, the other routes are tried, too
            yield f"{operation.label}, {mode.name}: {trouble}"[:2000]
    refused = set(OF_SESSIONS) if headers is service.headers else set()
    if set(answered) <= REFUSED and operation.label not in SIGN_IN | refused:
        yield f"{operation.label}: what should open it does not: {dict(answered)}"
    if "{task_id}" in operation.path and HTTPStatus.OK not in answered:
        yield f"{operation.label}: it did nothing to any item: {dict(answered)}"
    if LISTED:
        print(operation.label, dict(answered))  # noqa: T201


def call(
    operation: Any, mode: GenerationMode, headers: dict[str, str], answered: Counter[int], known: list[dict[str, Any]]
) -> None:
    """Call one route with `EXAMPLES` requests, and count what it answers; raises what is wrong with the first answer
    that its description does not know. Every other request is about something that is there."""
    turns = cycle([None, *[each for one in known for each in (one, None)]])

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        about = next(turns)
        for place in (case.path_parameters, case.body):
            if about is not None and isinstance(place, dict):
                place.update({name: about[name] for name in about.keys() & place.keys()})
        answered[case.call_and_validate(headers=headers, checks=CHECKS, timeout=20).status_code] += 1

    one()
