"""What the deployment's secret decides about an item: whether it is audited, and whether a canary takes it. Pure.

HMAC-SHA256 (RFC 2104) under a secret that nobody outside sees: no author can choose names that are never audited, and
no reviewer can compute which items are.
"""

import hmac
from dataclasses import dataclass, field

from secondlook.common.contract.events import ContentSubmitted

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class CoinSecret:
    """The secret. It shows neither in a representation nor in a log.

    Every method returns a number in [0, 1), a multiple of 2^-53: uniform over items, the same for the same item, blind
    to texts and scores, and independent of the other methods' numbers.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != SECRET_BYTES:
            raise ValueError(f"a coin secret has {SECRET_BYTES} bytes, this one {len(self.key)}")

    def flip(self, content: ContentSubmitted) -> float:
        """The audit coin of a revision."""
        return self.flip_of(content.source, content.content_id, content.revision)

    def flip_of(self, source: str, content_id: str, revision: int) -> float:
        """The same, of a revision whose content is not at hand."""
        return self._number(f"{source}\0{content_id}\0{revision}")

    def canary(self, content: ContentSubmitted) -> float:
        """A number for all revisions of a piece of content: a canary decides those below its share."""
        return self._number(f"\0canary\0{content.source}\0{content.content_id}")

    def place(self, content: ContentSubmitted) -> float:
        """Whose place in the queue a revision takes that the coin drew."""
        return self._number(f"\0place\0{content.source}\0{content.content_id}\0{content.revision}")

    def _number(self, name: str) -> float:
        # No source is empty, so what begins with a NUL is the name of no coin.
        return (int.from_bytes(hmac.digest(self.key, name.encode(), "sha256")[:8]) >> 11) / 2**53
