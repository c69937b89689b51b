"""The product as a user starts it: `secondlook up`, its commands, its APIs, and what happens when things die."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import asyncpg
import httpx
import psutil
import pytest

from bench.deployment import MODULES, Deployment, deployment
from secondlook.cli.local.account import Mismatches, mismatches
from secondlook.cli.workspace import Workspace

FAST = {"SECONDLOOK_UNDO_GRACE_SECONDS": "0.5", "SECONDLOOK_RETRAIN_LABELS": "1000000"}


def secondlook(*arguments: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "secondlook.cli", *arguments],
        env={**os.environ, "SECONDLOOK_DATA_DIR": str(data_dir), **environment},
        capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip


def eventually(condition: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


async def account(system: Deployment) -> Mismatches:
    connection = await asyncpg.connect(system.workspace.database_url)
    try:
        return await mismatches(connection)
    finally:
        await connection.close()


def api(system: Deployment, role: str) -> httpx.Client:
    url = system.workspace.router_url if role == "upstream" else system.workspace.api_url
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {system.workspace.keys[role]}"}, timeout=10)


def content_state(client: httpx.Client, content_id: str) -> dict[str, Any] | None:
    try:
        answer = client.get(f"/v1/content/forum/{content_id}")
    except httpx.HTTPError:  # the service is being started again
        return None
    return answer.json() if answer.status_code == 200 else None


@dataclass
class Claimable:
    """What a newcomer published that waits for a person, and what of it the newcomer's key can claim later."""

    waiting: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)


def publish_as_a_newcomer(data_dir: Path, found: Claimable) -> None:
    """Publish beside the demo, also under its source; wait, and claim all of it with the key that the README names."""
    run = Workspace.model_validate_json((data_dir / "run.json").read_bytes())  # of the first start: the keys stay
    texts = {f"new-{n}": f"You lovely fool, {n} hours to win a prize or die" for n in range(12)}
    upstream = httpx.Client(base_url=run.router_url, headers={"Authorization": f"Bearer {run.keys['upstream']}"})
    reviewer = httpx.Client(base_url=run.api_url, headers={"Authorization": f"Bearer {run.keys['reviewer']}"})
    with upstream, reviewer:
        for number, (content_id, text) in enumerate(texts.items()):
            body = {"source": "demo" if number % 4 == 3 else "forum", "content_id": content_id, "revision": 1,
                    "text": text, "created_at": "2026-01-01T12:00:00Z"}  # fmt: skip
            eventually(lambda body=body: _posted(upstream, body))  # type: ignore[misc]
        time.sleep(4)  # in which the simulated reviewers could take it
        for source in ("forum", "demo"):
            for content_id in texts:
                state = reviewer.get(f"/v1/content/{source}/{content_id}")
                if state.status_code == 200 and not state.json()["decisions"]:
                    found.waiting.add(content_id)
        eventually(lambda: _claim(reviewer, found) >= found.waiting, 4)


def _posted(upstream: httpx.Client, body: dict[str, Any]) -> bool:
    try:
        return upstream.post("/v1/content", json=body).status_code == 202
    except httpx.HTTPError:  # not up yet
        return False


def _claim(reviewer: httpx.Client, found: Claimable) -> set[str]:
    for task in reviewer.post("/v1/review/claims", json={"limit": 50}).raise_for_status().json()["tasks"]:
        if task["content"]["content_id"].startswith("new-"):
            found.claimed.add(task["content"]["content_id"])
    return found.claimed


def everything_in_force_is_signed(system: Deployment, data_dir: Path) -> None:
    """With a key that `up` made, and that nobody but the owner reads."""
    assert (data_dir / "signing-key").stat().st_mode & 0o777 == 0o600
    key = (data_dir / "signing-key").read_text().strip()
    eventually(lambda: "secondlook_router_bundle_info{" in httpx.get(f"{system.workspace.router_url}/metrics").text)
    for url in (system.workspace.api_url, system.workspace.router_url, system.workspace.trainer_url):
        metrics = httpx.get(f"{url}/metrics").text
        assert "secondlook_signatures_checked 1.0" in metrics
        assert "secondlook_records_refused_total{" not in metrics
    assert all(key not in log.read_text() for log in (data_dir / "logs").iterdir())
    told = secondlook("doctor", data_dir=data_dir).stdout
    assert "policies and bundles are signed" in told
    assert key not in told


def test_the_demo_runs_the_loop_ends_by_itself_and_goes_on_where_it_stopped(data_dir: Path, port: int) -> None:
    first = secondlook("up", "--demo", "--for", "8s", "--port", str(port), data_dir=data_dir)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "0 lost, 0 doubled" in first.stdout
    assert f"http://127.0.0.1:{port}/docs" in first.stdout
    figures = dict(re.findall(r"│ ([a-z][a-z -]+?) +│ (\S+)", first.stdout))
    assert int(figures["in"]) > 30
    assert int(figures["auto-approved"]) > 0
    assert int(figures["decided by people"]) > 0
    assert int(figures["labels"]) > 0
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(data_dir) in " ".join(p.info["cmdline"] or [])]

    newcomer = Thread(target=publish_as_a_newcomer, args=(data_dir, found := Claimable()))
    newcomer.start()
    second = secondlook("up", "--demo", "--for", "10s", "--port", str(port), data_dir=data_dir)
    newcomer.join()
    assert second.returncode == 0, second.stdout + second.stderr
    assert found.waiting, "nothing of the newcomer's went to review"
    assert found.claimed == found.waiting, "the simulated reviewers took what is the newcomer's"
    assert "fitting the first model" not in second.stdout
    assert "0 lost, 0 doubled" in second.stdout
    later = dict(re.findall(r"│ ([a-z][a-z -]+?) +│ (\S+)", second.stdout))
    assert int(later["in"]) > int(figures["in"])


def test_a_whole_deployment_by_its_commands_with_every_service_killed(data_dir: Path, port: int) -> None:
    policy = data_dir / "policy.yaml"
    policy.write_text(
        "name: acceptance\nmode: fixed\nlabels:\n  spam: {description: Advertising}\n"
        "thresholds: {approve: 0.05, reject: {spam: 0.97}}\naudit: {certify: 0}\n"
    )
    labels = data_dir / "labels.jsonl"
    labels.write_text(
        "\n".join(
            json.dumps({"id": f"l{n}", "text": text, "labels": {"spam": n % 2}})
            for n, text in enumerate(["See you at lunch", "Free coins, click now"] * 20)
        )
    )
    content = data_dir / "content.jsonl"
    texts = ["Click now for free coins!!", "Is the library open on Sunday?", "Cheap followers, dm me", "What a goal 🎉"]
    content.write_text("\n".join(json.dumps({"id": f"c{n}", "text": f"{texts[n % 4]} {n}"}) for n in range(400)))

    with deployment(data_dir / "data", port, FAST) as system:
        assert "2" in system.command("policy", "apply", str(policy))
        assert "40" in system.command("labels", "import", str(labels))
        assert "promoted" in system.command("train")
        everything_in_force_is_signed(system, data_dir / "data")
        for name in MODULES:
            system.command("publish", str(content), "--source", f"{name}", "--limit", "120")
            assert system.kill(name)
        system.command("publish", str(content), "--source", "forum")
        with api(system, "lead") as lead:
            eventually(lambda: content_state(lead, "c399") is not None)
        with api(system, "reviewer") as reviewer:
            claimed = reviewer.post("/v1/review/claims", json={"limit": 5}).raise_for_status().json()["tasks"]
            assert claimed
            decisions, judged = [], [task["content"]["content_id"] for task in claimed]
            for task in claimed:
                verdict = {"lease_token": task["lease_token"], "outcome": "reject", "labels": ["spam"]}
                answer = reviewer.post(f"/v1/review/tasks/{task['task_id']}/decision", json=verdict)
                decisions.append(answer.raise_for_status().json()["decision_id"])
            undone = reviewer.post(f"/v1/decisions/{decisions[0]}/undo")
            assert undone.status_code in (200, 204), undone.text
            assert system.kill("reviewer-api")  # the others are decided and not yet published

        def published() -> bool:
            with api(system, "reviewer") as client:
                try:
                    found = client.get("/v1/decisions", params={"limit": 100}).raise_for_status().json()["decisions"]
                except httpx.HTTPError:  # it is being started again
                    return False
            people = {decision["content_id"] for decision in found if decision["decided_by"] != "model"}
            return people == set(judged[1:])

        eventually(published)
        eventually(lambda: asyncio.run(account(system)) == Mismatches(0, 0))
        assert system.command("bundle", "list").count("active") == 1
        with api(system, "lead") as lead:
            what_the_console_asks_other_services(lead, policy.read_text())
        assert system.command("bundle", "list").count("active") == 1
        system.command("bundle", "rollback")


def what_the_console_asks_other_services(lead: httpx.Client, policy: str) -> None:
    """A router counts what a policy would change; the trainer goes back to the bundle before, and on again."""

    def done(path: str, body: Any = None) -> dict[str, Any]:
        answer = lead.post(path, json=body)
        assert answer.status_code == 202, answer.text
        operation = f"/v1/operations/{answer.json()['operation_id']}"
        eventually(lambda: lead.get(operation).json()["done_at"] is not None)
        found: dict[str, Any] = lead.get(operation).json()
        return found

    stopped = done("/v1/policies/simulate", {"document": policy + "kill_switch: true\n"})
    counted = stopped["simulated"]
    assert stopped["ok"], stopped
    assert counted["items"] >= 400
    assert counted["people_before"] < counted["people_after"] == counted["items"]
    same = done("/v1/policies/simulate", {"document": policy})["simulated"]
    moved = sum(same["routes"][was][now] for was in same["routes"] for now in same["routes"] if was != now)
    assert moved <= 0.05 * same["items"], same
    back = done("/v1/bundles/rollback")
    assert back["ok"], back
    assert "is active again" in back["detail"]
    eventually(lambda: len(lead.get("/v1/quality").json()["bundles"]) == 2)
    newest, first = lead.get("/v1/quality").json()["bundles"]
    assert first["bundle_version"] in back["detail"]
    forward = done(f"/v1/bundles/{newest['bundle_version']}/promote")
    assert forward["ok"], forward
    unknown = done("/v1/bundles/unheard-of/promote")
    assert (unknown["ok"], unknown["detail"]) == (False, "there is no bundle 'unheard-of'")


def test_ctrl_c_stops_everything_cleanly(data_dir: Path, port: int) -> None:
    with deployment(data_dir, port, FAST) as system:
        services = [system.service(name) for name in MODULES]
        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(40) == 0
    assert all(service is not None and not service.is_running() for service in services)
    log = (data_dir / "up.log").read_text()
    assert "stopped; the next start resumes from here" in log
    assert "Traceback" not in log


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def test_after_a_killed_supervisor_the_services_end_and_the_next_start_works(data_dir: Path, port: int) -> None:
    with deployment(data_dir, port, FAST) as system:
        services = [system.service(name) for name in MODULES]
        system.process.kill()
        system.process.wait(10)
        left_over = postmaster(data_dir)
    with deployment(data_dir, port, FAST) as system:  # at once: it waits for the ports
        assert postmaster(data_dir) == left_over
        assert all(service is not None and not service.is_running() for service in services)
    assert not (data_dir / "postgres" / "postmaster.pid").exists(), "PostgreSQL is stopped too"


@pytest.mark.parametrize("options", [(), ("--demo",)])
def test_a_postgresql_that_dies_is_started_again_and_content_goes_on(
    data_dir: Path, port: int, options: tuple[str, ...]
) -> None:
    """Also when it dies while `up` itself asks it for something: for the first link, or for the demo's figures."""
    body = {"source": "forum", "revision": 1, "text": "hello", "created_at": "2026-01-01T00:00:00Z"}
    with deployment(data_dir, port, FAST, *options) as system, api(system, "upstream") as upstream:
        upstream.post("/v1/content", json={**body, "content_id": "before"}).raise_for_status()
        os.kill(postmaster(data_dir), signal.SIGKILL)

        def accepted() -> bool:
            try:
                return upstream.post("/v1/content", json={**body, "content_id": "after"}).status_code == 202
            except httpx.HTTPError:
                return False

        eventually(lambda: "PostgreSQL ended" in (data_dir / "up.log").read_text())
        eventually(accepted)
        with api(system, "reviewer") as reviewer:
            eventually(lambda: all(content_state(reviewer, name) is not None for name in ("before", "after")))
        eventually(lambda: "signs in once" in (data_dir / "up.log").read_text())
        assert system.process.poll() is None


def test_a_second_up_on_the_same_data_and_a_used_port_are_named(data_dir: Path, port: int) -> None:
    with deployment(data_dir, port, FAST) as system:
        same_data = secondlook("up", "--port", str(port + 100), data_dir=data_dir)
        assert same_data.returncode == 2
        assert f"process {system.process.pid}" in same_data.stderr
        same_port = secondlook("up", "--port", str(port), data_dir=data_dir / "other")
        assert same_port.returncode == 2
        assert f"port {port} is in use" in same_port.stderr
    assert "Traceback" not in same_data.stderr + same_port.stderr


def test_wrong_settings_are_named_and_end_the_start(data_dir: Path, port: int) -> None:
    wrong = secondlook("up", "--port", str(port), data_dir=data_dir, SECONDLOOK_LEASE_SECONDS="soon")
    assert wrong.returncode == 2
    assert "SECONDLOOK_LEASE_SECONDS" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    odd = secondlook("up", "--for", "soon", data_dir=data_dir)
    assert odd.returncode == 2
    assert "60s, 5m or 1h" in odd.stderr
