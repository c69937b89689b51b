"""What the tests of the clients share."""

import pytest

from tests.sdk.both import Called


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Called:
    """Calls a method of either client."""
    return Called(request.param == "async")
