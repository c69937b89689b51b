"""The product on Kafka as a user starts it: moving there with open reviews, and a broker that goes away."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from bench.deployment import MODULES, Deployment, deployment
from tests.acceptance.test_up import FAST, api, content_state, eventually, secondlook
from tests.kafka_world import started
from tools.kafka.broker import Broker

BODY = {"source": "forum", "revision": 1, "text": "hello", "created_at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def prefixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics of this test's own on a Kafka that others use too, for every process that it starts."""
    monkeypatch.setenv("SECONDLOOK_KAFKA_PREFIX", f"up-{secrets.token_hex(4)}.")


@pytest.fixture
def broker(data_dir: Path) -> Iterator[Broker]:
    """A Kafka of this test's own, to be killed."""
    with started(Broker(data_dir / "kafka", quick=True)) as broker:
        yield broker


def submit(system: Deployment, *names: str) -> None:
    with api(system, "upstream") as upstream:
        for name in names:
            upstream.post("/v1/content", json={**BODY, "content_id": name}).raise_for_status()


def decide(system: Deployment, count: int) -> set[str]:
    """Claim and approve so many reviews; returns the names of what was decided."""
    decided: set[str] = set()
    with api(system, "reviewer") as reviewer:
        for task in reviewer.post("/v1/review/claims", json={"limit": count}).raise_for_status().json()["tasks"]:
            verdict = {"lease_token": task["lease_token"], "outcome": "approve", "labels": []}
            reviewer.post(f"/v1/review/tasks/{task['task_id']}/decision", json=verdict).raise_for_status()
            decided.add(task["content"]["content_id"])
    return decided


def published(system: Deployment) -> set[str]:
    with api(system, "reviewer") as reviewer:
        found = reviewer.get("/v1/decisions", params={"limit": 100}).raise_for_status().json()["decisions"]
    return {decision["content_id"] for decision in found}


def in_review(system: Deployment, *names: str) -> bool:
    with api(system, "reviewer") as reviewer:
        return all(content_state(reviewer, name) is not None for name in names)


def ready(url: str) -> tuple[bool, str]:
    answer = httpx.get(f"{url}/readyz", timeout=5)
    return answer.status_code == 200, answer.text


@pytest.mark.usefixtures("prefixed")
def test_a_system_moves_to_kafka_with_its_open_reviews(data_dir: Path, port: int, kafka_bootstrap: str) -> None:
    with deployment(data_dir, port, FAST) as system:
        submit(system, "a", "b", "c")
        eventually(lambda: in_review(system, "a", "b", "c"))
        system.command("policy", "apply", _policy(data_dir, "moved"))
        first = decide(system, 1)
        assert len(first) == 1
    with deployment(data_dir, port, FAST, "--kafka", kafka_bootstrap) as system:
        eventually(lambda: f"Kafka at {kafka_bootstrap}" in (data_dir / "up.log").read_text())
        assert decide(system, 5) == {"a", "b", "c"} - first, "the open reviews were kept"
        submit(system, "d")
        eventually(lambda: in_review(system, "d"))
        decide(system, 1)
        eventually(lambda: published(system) == {"a", "b", "c", "d"})
        assert "moved" in system.command("policy", "show")
    with deployment(data_dir, port, FAST) as system:  # it stays there without being told again
        submit(system, "e")
        eventually(lambda: in_review(system, "e"))
        assert "kafka_bootstrap" in (data_dir / "run.json").read_text()


def _policy(folder: Path, name: str) -> str:
    path = folder / "policy.yaml"
    path.write_text(
        f"name: {name}\nlabels:\n  spam: {{description: Advertising}}\naudit: {{certify: 1.0e-9, most: 0}}\n"
    )
    return str(path)


def test_a_broker_that_goes_away_is_said_and_waited_for_and_nothing_is_lost(
    data_dir: Path, port: int, broker: Broker
) -> None:
    with deployment(data_dir / "up", port, FAST, "--kafka", broker.bootstrap) as system:
        submit(system, "before")
        eventually(lambda: in_review(system, "before"))
        broker.kill()
        submit(system, *(f"meanwhile-{number}" for number in range(20)))  # accepted: it is in the outbox
        urls = (system.workspace.router_url, system.workspace.api_url, system.workspace.trainer_url)
        eventually(lambda: not any(ready(url)[0] for url in urls))
        assert "Kafka" in ready(urls[0])[1]
        spent, logged = _effort(system), _logged(data_dir)
        time.sleep(5)
        assert _effort(system) - spent < 2.0, "seconds of CPU that three processes spend waiting for five"
        assert _logged(data_dir) - logged < 500, "lines"
        broker.start()
        eventually(lambda: all(ready(url)[0] for url in urls), seconds=60)
        eventually(lambda: in_review(system, *(f"meanwhile-{number}" for number in range(20))))
        assert all(system.service(name) is not None for name in MODULES)


def _effort(system: Deployment) -> float:
    found = [system.service(name) for name in MODULES]
    times = [process.cpu_times() for process in found if isinstance(process, psutil.Process)]
    return float(sum(each.user + each.system for each in times))


def _logged(data_dir: Path) -> int:
    return sum(len(log.read_text().splitlines()) for log in (data_dir / "up" / "logs").glob("*.log"))


def test_a_kafka_that_cannot_be_used_ends_the_start_with_a_line(data_dir: Path, port: int) -> None:
    away = secondlook("up", "--port", str(port), "--kafka", "127.0.0.1:1", data_dir=data_dir)
    assert away.returncode == 2
    assert "Kafka at 127.0.0.1:1 cannot be used" in away.stderr
    empty = secondlook("up", "--port", str(port), "--kafka", "", data_dir=data_dir)
    assert empty.returncode == 2
    no_user = secondlook(
        "up", "--port", str(port), "--kafka", "127.0.0.1:1", data_dir=data_dir, SECONDLOOK_KAFKA_SECURITY="SASL_SSL"
    )
    assert (no_user.returncode, "needs SECONDLOOK_KAFKA_USERNAME" in no_user.stderr) == (2, True)
    assert "Traceback" not in away.stderr + empty.stderr + no_user.stderr
    # The embedded bus is untouched by what did not work.
    with deployment(data_dir, port, FAST) as system:
        submit(system, "a")
        eventually(lambda: in_review(system, "a"))
