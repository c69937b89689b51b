"""What is known of a piece of content. Pure.

The state of a piece of content is a join of all that was said of it, so it does not depend on the order of arrival:
the highest revision; the smallest `created_at` and the highest `reports` and `reach` over that revision's repeats; and
the highest `withdrawn_at`. The content is withdrawn if its latest revision was created at or before `withdrawn_at`:
a withdrawal applies by its time, also to a revision that it overtook.
"""

from datetime import datetime
from typing import NamedTuple

from secondlook.common.contract.events import ContentSubmitted
from secondlook.router.identity.hashes import Identity

Key = tuple[str, str]
KeyedRevision = tuple[str, str, int]

ACCEPTED, SUPERSEDED, WITHDRAWN = "accepted", "superseded", "withdrawn"  # routes that lead to nobody


class ContentRow(NamedTuple):
    """A row of `content`. `latest_revision` is 0 while nothing but a withdrawal or a report is known."""

    latest_revision: int = 0
    reviewed_up_to: int = 0  # the latest revision if a review of it was asked for and not cancelled, else 0
    withdrawn_at: datetime | None = None
    created_at: datetime | None = None  # None also for what was routed before migration 0003
    reports: int = 0
    reach: int = 0
    reported: bool = False  # whether a report of it was kept
    reopened: int = 0  # the latest revision that reports have sent to a person
    judged: int = 0  # the latest revision that a person has decided

    @property
    def withdrawn(self) -> bool:
        """Whether the latest revision is. Where its creation was not kept, a withdrawal applied as it arrived, and
        only an open review tells that the revision came later."""
        if not self.latest_revision or self.withdrawn_at is None:
            return False
        return self.created_at <= self.withdrawn_at if self.created_at else not self.reviewed_up_to

    def joined(self, content: ContentSubmitted) -> "ContentRow":
        """The state with this submission. A review of an earlier revision is still counted as asked for."""
        if content.revision < self.latest_revision:
            return self
        created_at: datetime | None = content.created_at
        counts = (content.reports, content.reach)
        if content.revision == self.latest_revision:
            created_at = self.created_at and min(self.created_at, content.created_at)
            counts = (max(self.reports, content.reports), max(self.reach, content.reach))
        return self._replace(
            latest_revision=content.revision, created_at=created_at, reports=counts[0], reach=counts[1]
        )

    def withdrawn_as_of(self, at: datetime) -> "ContentRow":
        """The state with a withdrawal of that time. Where the creation was not kept, it lies before the withdrawal."""
        created_at = self.created_at or (at if self.latest_revision else None)
        return self._replace(created_at=created_at, withdrawn_at=max(at, self.withdrawn_at or at))


class KnownRevision(NamedTuple):
    """A row of `revision`. Where `content_sha256` is None, it was routed before migration 0003: the text decides."""

    text_sha256: bytes
    content_sha256: bytes | None
    route: str
    why: str
    audited: bool

    def is_same(self, identity: Identity) -> bool:
        if self.content_sha256 is None:
            return self.text_sha256 == identity.text_sha256
        return self.content_sha256 == identity.content_sha256
