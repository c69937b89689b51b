"""One browser and one product for all browser tests of a process; a page and a queue for each test."""

import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from secondlook.reviewer_api.console.site import DIST
from tests.browser.person import Person
from tests.browser.product import QUEUES, Product, running
from tests.requirements import unavailable

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They start a service and a browser."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def console() -> Path:
    """The built console."""
    if not (DIST / "index.html").exists():
        unavailable("the built console", "run `make console`")
    return DIST


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def product(postgres_server: str, console: Path) -> Iterator[Product]:
    with running(postgres_server, free_port()) as product:
        yield product


@pytest.fixture(scope="package")  # its loop must not run beside tests that have one of their own
def browser() -> Iterator[Browser]:
    """Chromium: Playwright's own, else the system's."""
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(args=["--no-sandbox"])
        except Error:
            found = _system_chromium()
            if found is None:
                unavailable("Chromium", "install Debian's package `chromium`, or run `playwright install chromium`")
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def _system_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None and os.environ.get("CI") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium"], check=False)
        found = shutil.which("chromium")
    return found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB", reduced_motion="reduce")
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    context.close()
    assert troubles == []


_queues = itertools.count()


def _new_queue() -> str:
    number = next(_queues)
    assert number < QUEUES, "more tests than queues: raise QUEUES"
    return f"q{number}"


@pytest.fixture
def queue() -> str:
    """A queue of this test's own."""
    return _new_queue()


@pytest.fixture
def other_queue() -> str:
    """One more."""
    return _new_queue()


@pytest.fixture
def ann(product: Product, page: Page) -> Person:
    """A moderator with an open browser."""
    return Person(product, page, "moderator")


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the pages go: SCREENSHOTS, or a folder of the run."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
