"""`secondlook router`, `reviewer-api`, `trainer` start the service."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # starts processes


@pytest.mark.parametrize("service", ["router", "reviewer-api", "trainer"])
def test_a_service_without_its_database_names_the_missing_setting(service: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SECONDLOOK_")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "secondlook.cli", service], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == f"{service}: settings: SECONDLOOK_DATABASE_URL: Field required\n"
