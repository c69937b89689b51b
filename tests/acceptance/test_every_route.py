"""Every route of every service is called with what its description allows, and with what it does not (Schemathesis).

`EXAMPLES=500` tries longer.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bench.deployment import Deployment, deployment
from tests.acceptance.test_up import FAST

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("EXAMPLES", "15"))  # of each route, right ones and as many wrong ones
ENDLESS = {"/v1/events"}  # a stream
CHECKS = [schemathesis.checks.not_a_server_error, status_code_conformance, content_type_conformance,
          response_schema_conformance]  # fmt: skip
REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
# For a session's cookie alone; an API key is refused.
OF_SESSIONS = {"DELETE /v1/session", "POST /v1/session/password", "POST /v1/session", "POST /v1/session/link"}


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """Whatever is generated, each element on a line of its own."""
    return b"\n".join(json.dumps(line).encode() for line in (value if isinstance(value, list) else [value]))


def test_no_route_fails_whatever_it_is_sent(data_dir: Path, port: int) -> None:
    with deployment(data_dir, port, FAST) as system:
        troubles = [trouble for url, key in services(system) for trouble in calls(url, key)]
    assert not troubles, "\n\n".join(troubles)


def services(system: Deployment) -> Iterator[tuple[str, str]]:
    """The address of each service, and a key that opens all of its routes."""
    workspace = system.workspace
    yield workspace.router_url, workspace.keys["upstream"]
    yield workspace.trainer_url, ""
    made = system.command("keys", "create", "every-route", "--role", "admin")
    yield workspace.api_url, next(word for word in made.split() if word.startswith("sl_"))


def calls(url: str, key: str) -> Iterator[str]:
    """What is wrong with the answers of a service."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path in ENDLESS:
            continue
        answered: Counter[int] = Counter()
        for mode in GenerationMode:
            try:
                call(operation, mode, headers, answered)
            except Unsatisfiable:  # it takes nothing that could be wrong
                assert mode is GenerationMode.NEGATIVE, operation.label
            except (Exception, FailureGroup) as trouble:  # whatever it is, the other routes are tried, too
                yield f"{operation.label}, {mode.name}: {trouble}"
        if set(answered) <= REFUSED and operation.label not in OF_SESSIONS:
            yield f"{operation.label}: the key does not open it: {dict(answered)}"


def call(operation: Any, mode: GenerationMode, headers: dict[str, str], answered: Counter[int]) -> None:
    """Call one route with `EXAMPLES` requests, and count what it answers; raises what is wrong with the first answer
    that its description does not know."""

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        answered[case.call_and_validate(headers=headers, checks=CHECKS, timeout=20).status_code] += 1

    one()
