"""What the router knows of content that nothing is known of here yet: asked with the caller's own key, and only then.

State meets in events alone; this answers a reader who is faster than they are.
"""

from typing import Any
from urllib.parse import quote

import httpx
import structlog

from secondlook.common.service.authentication import SESSION_PREFIX
from secondlook.reviewer_api.decisions.schemas import RevisionState

SECONDS = 2.0

log = structlog.get_logger()


class RouterReads:
    """Reads from the router at `url`. Where it does not answer, it knows nothing."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client: httpx.AsyncClient | None = None

    async def standing(self, source: str, content_id: str, credential: str) -> list[RevisionState]:
        """Each revision that it has accepted. Nothing for a session, which the router does not know."""
        if credential.startswith(SESSION_PREFIX):
            return []
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=SECONDS)
        try:
            answer = await self._client.get(
                f"{self._url}/v1/content/{source}/{quote(content_id, safe='')}",
                headers={"Authorization": f"Bearer {credential}"},
            )
            found: list[dict[str, Any]] = answer.json()["revisions"] if answer.status_code == httpx.codes.OK else []
        except (httpx.HTTPError, ValueError, KeyError) as error:
            log.warning("the router does not answer", error=repr(error))
            return []
        return [
            RevisionState(revision=one["revision"], state="accepted" if one["state"] == "routed" else one["state"])
            for one in found
        ]
