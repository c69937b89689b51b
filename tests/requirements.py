"""What some tests need and not every machine has: they are skipped there with the reason, and in CI they fail."""

import os
from collections import defaultdict
from collections.abc import Iterable
from typing import NoReturn

import pytest

NEEDS = "needs "


def unavailable(what: str, why: object) -> NoReturn:
    """Skip the test that needs `what`, or fail it where the environment variable CI is set."""
    message = f"{NEEDS}{what}: {why}"
    if os.environ.get("CI"):
        pytest.fail(f"{message} (in CI nothing may be missing)", pytrace=False)
    pytest.skip(message)


def left_out(reports: Iterable[pytest.TestReport]) -> list[str]:
    """Lines that say which tests were skipped by `unavailable`, and why."""
    tests = defaultdict(list)
    for report in reports:
        if isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
            if reason.startswith(NEEDS):
                tests[reason].append(report.nodeid)
    return [
        line
        for reason, names in sorted(tests.items())
        for line in (f"NOT RUN, {reason}", *(f"  {name}" for name in sorted(names)))
    ]
