"""Where webhooks may go, what signs them, and when they are tried again."""

import asyncio
import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from secondlook.common import breaker as rests
from secondlook.common.breaker import Breaker
from secondlook.common.errors import InvalidInput
from secondlook.common.http.targets import GuardedNetwork, TargetRefused, is_public
from secondlook.reviewer_api.webhooks import signing
from secondlook.reviewer_api.webhooks.schedule import next_try
from secondlook.reviewer_api.webhooks.sender import Sender
from secondlook.reviewer_api.webhooks.targets import ensure_allowed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOT_PUBLIC = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0",  # noqa: S104
    "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "fd12::1",
    "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "2002:a00:1::",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:db8::1", "2001:0:53aa:64c:0:fff0:f5ff:fffe", "100::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_that_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "//host/", "ftp://host/", "file:///etc/passwd", "http://host/", "https://", "https:///x",
        "https://user@host/", "https://user:word@host/", "https://host/#part", "https://host:0/", "https://host:99999/",
        "https://[::1]:443/", "https://127.0.0.1/", "https://[fe80::1]/", "javascript:1", "https://[/",
    ],
)  # fmt: skip
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="url"):
        ensure_allowed(url, private=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "0", "[::1]"])
async def test_no_spelling_of_loopback_is_connected_to(host: str) -> None:
    """Names and numbers alike: what counts is the address that the connection would go to."""
    async with Sender(private=False, at_once=1) as sender:
        attempt = await sender.send(f"http://{host}:9/", [], b"{}")
    assert attempt.status is None
    assert attempt.problem is not None
    assert "no public address" in attempt.problem or "cannot be resolved" in attempt.problem


async def test_a_name_that_changes_its_mind_is_checked_where_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that stood for a public address when it was looked at, and for this machine when it is connected to."""
    answers = iter([["93.184.216.34", "127.0.0.1"]])

    async def resolve(*_: Any, **__: Any) -> Any:
        return [(2, 1, 6, "", (address, 80)) for address in next(answers)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    with pytest.raises(TargetRefused, match=r"127\.0\.0\.1"):
        await GuardedNetwork(private=False).connect_tcp("rebinding.example.org", 80)


async def test_a_host_that_is_no_host() -> None:
    with pytest.raises(httpcore.ConnectError):
        await GuardedNetwork(private=True).connect_tcp("x" * 300, 80)


@given(st.text(st.characters(codec="utf-8"), max_size=200), st.uuids())
def test_the_conventions_own_library_takes_every_signature(text: str, name: UUID) -> None:
    at, body = datetime.now(UTC), text.encode()
    secrets = [signing.new_secret(), signing.new_secret()]
    headers = {key.decode(): value.decode() for key, value in signing.headers(f"msg_{name}", at, body, secrets)}
    for secret in secrets:
        Webhook(secret).verify(body, headers, json_parse=False)


def test_an_old_secret_signs_until_its_time_is_over() -> None:
    row = {"secret": "new", "old_secret": "old", "old_until": NOW}
    assert signing.valid(row, NOW - timedelta(seconds=1)) == ["new", "old"]
    assert signing.valid(row, NOW) == ["new"]
    assert signing.valid({"secret": "new", "old_secret": None, "old_until": None}, NOW) == ["new"]


@given(st.integers(1, 10_000), st.one_of(st.none(), st.floats(0, 1e9)))
def test_waits_grow_and_stay_bounded(attempts: int, asked: float | None) -> None:
    wait = next_try(attempts, asked)
    assert next_try(attempts) <= wait <= timedelta(hours=4)
    assert next_try(attempts + 1) >= next_try(attempts)


@given(st.lists(st.booleans(), max_size=60))
def test_an_endpoint_rests_after_failures_in_a_row_and_one_success_ends_it(arrived: list[bool]) -> None:
    breaker, now, in_a_row = Breaker(), NOW, 0
    for one in arrived:
        if one:
            assert breaker.succeeded() == (in_a_row >= rests.THRESHOLD)
            in_a_row = 0
        else:
            breaker.failed(now)
            in_a_row += 1
        resting = in_a_row >= rests.THRESHOLD
        assert breaker.room(now, 16) == (0 if resting else 16)
        if resting:
            assert breaker.resting_until is not None
            assert breaker.room(breaker.resting_until, 16) == 1, "one attempt tells whether it is back"
            assert breaker.resting_until - now <= timedelta(seconds=rests.LONGEST_REST)


def test_many_attempts_that_fail_at_once_make_one_rest() -> None:
    """An endpoint that dies fails all that is under way: that is one reason to rest, not sixteen."""
    breaker = Breaker()
    for _ in range(16):
        breaker.failed(NOW)
    assert breaker.resting_until == NOW + timedelta(seconds=rests.FIRST_REST)
    later = breaker.resting_until
    breaker.failed(later)
    assert breaker.resting_until == later + timedelta(seconds=2 * rests.FIRST_REST)
