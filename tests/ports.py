"""Ports of this machine that are free."""

import os
import random
import socket


def first_of_three() -> int:
    """The first of three free ports, below those that clients are given and apart from other test processes'."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        first = random.randrange(12_000 + 1_000 * process, 12_900 + 1_000 * process)
        if all(_is_free(first + offset) for offset in range(3)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
