"""What the tests of the clients share."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.requirements import unavailable
from tests.sdk.both import Called
from tests.sdk.product import Product, running
from tests.shared import shared
from tools.npm import find_node
from tools.sdk.contract import ROOT
from tools.sdk.typescript import COPY


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Called:
    """Calls a method of either client."""
    return Called(request.param == "async")


@pytest.fixture(scope="session")
def product(run_folder: Path) -> Iterator[Product]:
    """A running Second Look, one for all tests of this run. What says `click` is rejected, the rest is approved."""
    with shared(run_folder, "product-of-the-clients", running) as found:
        yield found


@pytest.fixture(scope="session")
def typescript(run_folder: Path) -> Iterator[Path]:
    """The folder of the built TypeScript client, its tests beside it."""
    with shared(run_folder, "typescript-client", _built) as folder:
        yield folder


@contextmanager
def _built() -> Iterator[Path]:
    if find_node() is None:
        unavailable("Node.js 20.19 or newer", "it is not there")
    for arguments in (["--install"], ["--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "tools.sdk.typescript", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        if arguments == ["--install"] and done.returncode != 0:
            unavailable("the packages of npm", done.stderr.strip().splitlines()[-1:])
        assert done.returncode == 0, done.stdout + done.stderr
    yield COPY
