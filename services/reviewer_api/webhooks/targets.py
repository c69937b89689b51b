"""Where webhooks may go: a connection is made only to an address that was checked, so no name can lead elsewhere.

Redirects are not followed. A check of the URL alone would not do: what a name stands for may change between the check
and the connection.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import httpcore

from secondlook.common.errors import FieldProblem, InvalidInput

NAT64 = ipaddress.ip_network("64:ff9b::/96")
PORTS = range(1, 65536)


class TargetRefused(Exception):
    """The address is one that webhooks may not go to; says which and why."""


def ensure_allowed(url: str, *, private: bool) -> None:
    """Check what can be seen of a URL alone. `private`: private addresses and plain http are allowed.

    Raises:
        InvalidInput: names what is wrong with it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused("is not a URL") from error
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise _refused("is not an http or https URL with a host")
    if parts.username is not None or parts.password is not None:
        raise _refused("holds a user name or password: the signature says who sends")
    if parts.fragment:
        raise _refused("has a fragment, which is never sent")
    if parts.scheme == "http" and not private:
        raise _refused("is not https; SECONDLOOK_WEBHOOK_PRIVATE_TARGETS allows http")
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return
    if not private and not is_public(address):
        raise _refused(f"{address} is no public address; SECONDLOOK_WEBHOOK_PRIVATE_TARGETS allows it")


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether the address, and any that it stands for, is one that anybody on the internet can reach."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to what a name resolves to, if all of that is allowed."""

    def __init__(self, *, private: bool) -> None:
        self._private, self._network = private, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} is not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            if not self._private and not is_public(ipaddress.ip_address(address.partition("%")[0])):
                raise TargetRefused(f"{host} leads to {address}, which is no public address")
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _refused(problem: str) -> InvalidInput:
    return InvalidInput([FieldProblem("url", problem)])
