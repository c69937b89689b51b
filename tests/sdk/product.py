"""A running Second Look for the clients, with somebody who judges whatever waits: what says `click` is spam."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import NamedTuple

import httpx
import psutil

from bench.deployment import MODULES, deployment
from secondlook.cli.workspace import Workspace
from tests.ports import first_of_three

POLICY = """
name: clients
mode: fixed
labels: {spam: {description: Advertising}}
thresholds: {approve: 0.05, reject: {spam: 0.97}}
audit: {certify: 0}
kill_switch: true
"""  # people decide everything, also once there is a model
SETTINGS = {
    "SECONDLOOK_UNDO_GRACE_SECONDS": "0.2",
    "SECONDLOOK_RETRAIN_LABELS": "1000000",
    "SECONDLOOK_WEBHOOK_PRIVATE_TARGETS": "true",
}


class Product(NamedTuple):
    """Where it listens, the key of an upstream service, and the process of `secondlook up`."""

    api_url: str
    router_url: str
    key: str
    process: int

    def environment(self) -> Mapping[str, str]:
        """The variables that the examples and the commands read."""
        named = {"API_URL": self.api_url, "ROUTER_URL": self.router_url, "API_KEY": self.key}
        return {**os.environ, **{f"SECONDLOOK_{name}": value for name, value in named.items()}}

    def kill(self, service: str) -> None:
        """kill -9 a service; `up` starts it again."""
        for child in psutil.Process(self.process).children():
            with suppress(psutil.NoSuchProcess):
                if child.cmdline()[-1:] == [MODULES[service]]:
                    child.kill()


@contextmanager
def running() -> Iterator[Product]:
    """Start it for the block."""
    with TemporaryDirectory(prefix="second-look-") as folder:
        policy = Path(folder) / "policy.yaml"
        policy.write_text(POLICY, encoding="utf-8")
        with deployment(Path(folder) / "data", first_of_three(), SETTINGS) as system:
            system.command("policy", "apply", str(policy))
            found = system.workspace
            with _judged(found):
                yield Product(found.api_url, found.router_url, found.keys["upstream"], system.process.pid)


@contextmanager
def _judged(system: Workspace) -> Iterator[None]:
    over = Event()
    thread = Thread(target=_judge, args=(system, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _judge(system: Workspace, over: Event) -> None:
    headers = {"Authorization": f"Bearer {system.keys['reviewer']}"}
    with httpx.Client(base_url=system.api_url, headers=headers, timeout=10) as reviewer:
        while not over.wait(0.1):
            with suppress(httpx.HTTPError):  # it is being started again; what was claimed is listed later
                reviewer.post("/v1/review/claims", json={"limit": 20}).raise_for_status()
                for task in reviewer.get("/v1/review/leases").raise_for_status().json()["tasks"]:
                    spam = "click" in task["content"]["text"]
                    outcome, labels = ("reject", ["spam"]) if spam else ("approve", [])
                    body = {"lease_token": task["lease_token"], "outcome": outcome, "labels": labels}
                    reviewer.post(f"/v1/review/tasks/{task['task_id']}/decision", json=body)
