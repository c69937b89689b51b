"""Label Studio from PyPI as a user would run it, on a PostgreSQL database of its own, for `bench.review`.

It is installed once, with nothing but its own packages, into `build/label-studio`. Its people, project and tasks are
made by its own code and API. It is served twice: by `label-studio start`, which is what its documentation names, and by
Gunicorn with a process for each core, which its own server for development is not made for.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from bench.review_world import Items, await_ready, free_port, service

VERSION = "1.23.2"
FOLDER = Path(__file__).parent.parent / "build" / "label-studio"
PACKAGES = (f"label-studio=={VERSION}", "gunicorn==23.0.0")
READY_SECONDS = 300.0
BLOCK = 500  # tasks of an import
CONFIG = """
<View><Text name="text" value="$text"/>
<Choices name="outcome" toName="text" choice="single"><Choice value="approve"/><Choice value="reject"/></Choices></View>
"""
# Its API lets people register one by one, through pages with forms; this makes the same rows.
PEOPLE = """
import json, sys
from organizations.models import Organization, OrganizationMember
from rest_framework.authtoken.models import Token
from users.models import User
tokens = []
organization = None
for number in range(int(sys.argv[1])):
    user = User.objects.create_user(email=f"person-{number}@example.com", password="Unguessable-1")
    if organization is None:
        organization = Organization.create_organization(created_by=user, title="bench")
        organization.jwt.legacy_api_tokens_enabled = True
        organization.jwt.save()
    else:
        OrganizationMember.objects.create(user=user, organization=organization)
    user.active_organization = organization
    user.save()
    tokens.append(Token.objects.get_or_create(user=user)[0].key)
print("TOKENS " + json.dumps(tokens))
"""
SETUP = "import os, sys\nsys.path.insert(0, sys.argv.pop(1))\nimport django\ndjango.setup()\n"


def install(folder: Path = FOLDER) -> Path:
    """The folder of an environment that holds Label Studio; made on first use, which takes minutes.

    Raises:
        RuntimeError: it cannot be installed; with what pip said.
    """
    mark = folder / f"installed-{VERSION}"
    if not mark.exists():
        folder.mkdir(parents=True, exist_ok=True)
        venv.create(folder, with_pip=True, clear=True)
        done = subprocess.run(
            [folder / "bin" / "python", "-m", "pip", "install", "-q", "--no-input", *PACKAGES],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"Label Studio cannot be installed: {done.stderr.strip()[-2000:]}")
        mark.touch()
    return folder


class LabelStudio:
    """An installed Label Studio and its database."""

    def __init__(self, folder: Path, url: str, data: Path) -> None:
        parts = urlsplit(url)
        self._folder, self._data = folder, data
        self._code = next(folder.glob("lib/python*/site-packages/label_studio"))
        self._environment = {
            "DJANGO_DB": "default",
            "DJANGO_SETTINGS_MODULE": "core.settings.label_studio",
            "POSTGRE_NAME": parts.path.strip("/"),
            "POSTGRE_USER": "postgres",
            "POSTGRE_PASSWORD": "",
            "POSTGRE_HOST": parse_qs(parts.query)["host"][0],
            "POSTGRE_PORT": "5432",
            "LABEL_STUDIO_BASE_DATA_DIR": str(data),
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "LATEST_VERSION_CHECK": "false",
            "COLLECT_ANALYTICS": "false",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            "LOG_LEVEL": "ERROR",
            "DEBUG": "false",
            "PYTHONPATH": "",
        }

    def migrate(self) -> None:
        """Make its tables."""
        self._python(self._code / "manage.py", "migrate", "--no-color", "--verbosity", "0")

    def people(self, count: int) -> list[str]:
        """Header lines of so many people of one organisation; the first is its owner."""
        said = self._python("-c", SETUP + PEOPLE, str(self._code), str(count))
        tokens = json.loads(said.split("TOKENS ")[1])
        return [f"Authorization: Token {token}\r\n" for token in tokens]

    @contextmanager
    def started(self) -> Iterator[int]:
        """As `label-studio start` serves it; gives the port."""
        port = free_port()
        command = ["start", "--no-browser", "--port", str(port), "--internal-host", "127.0.0.1", "--log-level", "ERROR"]
        with self._serving(port, str(self._folder / "bin" / "label-studio"), *command):
            yield port

    @contextmanager
    def gunicorn(self) -> Iterator[int]:
        """Under Gunicorn, a process for each core, 16 threads each; gives the port."""
        port = free_port()
        command = [
            "-m", "gunicorn", "core.wsgi", "--chdir", str(self._code), "--bind", f"127.0.0.1:{port}", "--preload",
            "--workers", str(os.cpu_count() or 1), "--threads", "16", "--keep-alive", "75", "--log-level", "error",
        ]  # fmt: skip
        with self._serving(port, str(self._folder / "bin" / "python"), *command):
            yield port

    @contextmanager
    def _serving(self, port: int, *command: str) -> Iterator[None]:
        log = self._data / f"label-studio-{port}.log"
        with service(command, self._environment, log) as process:
            await_ready(process, f"http://127.0.0.1:{port}/health", log, READY_SECONDS)
            yield

    def _python(self, *arguments: object) -> str:
        done = subprocess.run(
            [self._folder / "bin" / "python", *map(str, arguments)],
            env={**os.environ, **self._environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"Label Studio: {done.stderr.strip()[-3000:]}")
        return done.stdout


def make_project(port: int, owner: str, tasks: int) -> int:
    """A project whose tasks are given out in order, one annotation each; returns its number."""
    name, _, value = owner.strip().partition(": ")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={name: value}, timeout=300) as client:
        settings = {"title": "bench", "label_config": CONFIG, "maximum_annotations": 1}
        project: int = _made(client.post("/api/projects/", json=settings))["id"]
        texts = (json.loads(row[2])["text"] for row in Items().make(tasks, datetime.now(UTC), timedelta())[1])
        for _ in range(0, tasks, BLOCK):
            block = [{"data": {"text": text}} for text, _ in zip(texts, range(BLOCK), strict=False)]
            _made(client.post(f"/api/projects/{project}/import", json=block))
    return project


def _made(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise RuntimeError(f"Label Studio refused: {answer.status_code} {answer.text[:2000]}")
    made: dict[str, Any] = answer.json()
    return made


if __name__ == "__main__":
    sys.stdout.write(f"{install()}\n")
