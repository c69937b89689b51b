"""What makes two submissions of one revision the same: text, kind, author and context. Pure."""

import hashlib
from typing import NamedTuple

from pydantic_core import to_json

from secondlook.common.contract.events import ContentSubmitted


class Identity(NamedTuple):
    """SHA-256 of the text alone, and of everything that people judge. Language, attributes and counts are not in it."""

    text_sha256: bytes
    content_sha256: bytes


def text_sha256(text: str) -> bytes:
    """SHA-256 of the text in UTF-8."""
    return hashlib.sha256(text.encode()).digest()


def identity_of(content: ContentSubmitted) -> Identity:
    """The same for every repeat, also one that leaves out fields with their defaults."""
    text, context = text_sha256(content.text), content.context
    rest = to_json((content.kind, content.author_id, context.parent_text, context.title, context.url))
    return Identity(text, hashlib.sha256(text + rest).digest())
