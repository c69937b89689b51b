"""Rows of one file that are about one item: they must agree on its text, and each person on their labels. Pure."""

import hashlib
from dataclasses import dataclass, field

from secondlook.common.contract.events import ContentLabelled, ContentSubmitted
from secondlook.common.errors import InvalidInput, RevisionReused


@dataclass(slots=True)
class Repeats:
    """The rows so far: by revision the first row and its text, by revision and person the first row and its labels."""

    texts: dict[tuple[str, str, int], tuple[int, bytes]] = field(default_factory=dict)
    said: dict[tuple[str, str, str], tuple[int, dict[str, bool]]] = field(default_factory=dict)

    def check_text(self, number: int, event: ContentSubmitted | ContentLabelled) -> None:
        """Raises RevisionReused if an earlier row gave this revision another text."""
        digest = hashlib.sha256(event.text.encode()).digest()
        revision = event.source, event.content_id, event.revision
        before, known = self.texts.setdefault(revision, (number, digest))
        if known != digest:
            raise reused(event, f"was in row {before} with another text")

    def is_new(self, number: int, event: ContentLabelled) -> bool:
        """Whether no earlier row says just that.

        Raises:
            InvalidInput: an earlier row gave the item another text, or this person's labels differ from it.
        """
        self.check_text(number, event)
        before, labels = self.said.setdefault((event.source, event.content_id, event.reviewer), (number, event.labels))
        if labels != event.labels:
            raise InvalidInput(
                f"content_id: {event.source}/{event.content_id} was in row {before} with other labels; "
                "if another person gave them, name the column of people with --reviewer-column"
            )
        return labels is event.labels


def reused(event: ContentSubmitted | ContentLabelled, why: str) -> RevisionReused:
    """The refusal of a text whose revision has another one."""
    what = f"{event.source}/{event.content_id}, revision {event.revision}"
    return RevisionReused(f"content_id: {what}, {why}; give this text an id of its own")
