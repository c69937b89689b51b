"""What both clients do the same way: how they address, authenticate, and read trouble. Pure."""

from typing import Any

import httpx

from secondlook_client._answers import reader
from secondlook_client._calls import Call, cursor
from secondlook_client._sse import Event
from secondlook_client.errors import ClientError, ProblemError, Unreachable
from secondlook_client.feed import Filter, Followed
from secondlook_client.models import FollowedDecision
from secondlook_client.retries import BUSY, Retries

API = "http://127.0.0.1:8000"
ROUTER = "http://127.0.0.1:8001"
SILENCE = 45.0  # seconds after which a stream counts as broken; the server gives a sign of life every 15


class Connection:
    """Addresses and key. The key is in no text that this package writes."""

    def __init__(self, key: str, api_url: str, router_url: str, retries: Retries, timeout: float) -> None:
        key = key.strip()
        if not key or not key.isascii() or not key.isprintable():
            raise ValueError("the key is empty, or holds characters that no key has")
        self._urls = {"api": api_url.rstrip("/"), "router": router_url.rstrip("/")}
        for name, url in self._urls.items():
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{name}_url must begin with http:// or https://: {url!r}")
        self._authorization = f"Bearer {key}"
        self.retries, self._timeout = retries, timeout

    def request(self, call: Call[Any]) -> dict[str, Any]:
        """The arguments of `httpx.Client.request`."""
        headers = {"Authorization": self._authorization, "Accept": "application/json"}
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        return {
            "method": call.method,
            "url": self._urls[call.service] + call.path,
            "params": list(call.params),
            "content": call.body,
            "headers": headers,
            "timeout": httpx.Timeout(self._timeout, read=self._timeout + call.patience),
            "follow_redirects": False,
        }

    def stream(self, after: str | None, which: Filter) -> dict[str, Any]:
        """The arguments of `httpx.Client.stream` for the decisions behind a cursor."""
        return {
            "method": "GET",
            "url": f"{self._urls['api']}/v1/decisions/stream",
            "params": [*cursor(after), *which.params()],
            "headers": {"Authorization": self._authorization, "Accept": "text/event-stream"},
            "timeout": httpx.Timeout(self._timeout, read=max(SILENCE, self._timeout)),
            "follow_redirects": False,
        }

    def wait(self, failed: int, error: ClientError) -> float:
        """Seconds to wait after so many failures in a row, of which this was the last; raises it if that was all."""
        wait = None
        if isinstance(error, ProblemError) and error.status in BUSY:
            wait = self.retries.wait(failed, error.retry_after)
        elif isinstance(error, Unreachable):
            wait = self.retries.wait(failed)
        if wait is None:
            raise error
        return wait

    def unreachable(self, error: httpx.RequestError) -> Unreachable:
        try:
            url = error.request.url
            where = f"{url.scheme}://{url.netloc.decode()}"
        except RuntimeError:  # it has no request
            where = "the service"
        return Unreachable(f"{where} does not answer: {str(error) or type(error).__name__}")


def followed(event: Event) -> Followed | None:
    """The decision of an event; None for events of other kinds."""
    if event.name != "decision":
        return None
    return Followed(event.id, reader(FollowedDecision)(event.data.encode()))
