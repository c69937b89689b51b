"""`secondlook doctor` says where the router decides by another policy than the one in force."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry, start_http_server

from secondlook.cli.local.checks import check_policy
from secondlook.cli.workspace import Workspace
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.router.metrics import RouterMetrics


@pytest.fixture
def served() -> Iterator[tuple[ReviewerMetrics, RouterMetrics, Workspace]]:
    """The metrics of both services, and where they are."""
    reviewer, router = CollectorRegistry(), CollectorRegistry()
    metrics = ReviewerMetrics(reviewer), RouterMetrics(router)
    with ExitStack() as stack:
        urls = []
        for registry in (reviewer, router):
            server, _ = start_http_server(0, "127.0.0.1", registry)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            urls.append(f"http://127.0.0.1:{server.server_port}")
        yield *metrics, Workspace(database_url="", api_url=urls[0], router_url=urls[1])


@pytest.mark.parametrize(("published", "followed", "told"), [(0, 0, False), (5, 5, False), (5, 9, True), (5, 4, True)])
async def test_a_router_that_decides_by_another_policy_is_named(
    served: tuple[ReviewerMetrics, RouterMetrics, Workspace], published: int, followed: int, told: bool
) -> None:
    reviewer, router, workspace = served
    reviewer.policy_version.set(published)
    router.policy_version.set(followed)
    found = [finding.found for finding in await check_policy(workspace)]
    wanted = f"version {published} was published last, and the router decides by version {followed}"
    assert found == ([wanted] if told else [])


async def test_what_does_not_answer_is_reported_elsewhere() -> None:
    nobody = "http://127.0.0.1:9"
    assert await check_policy(Workspace(database_url="", api_url=nobody, router_url=nobody)) == []
