"""Secrets that are shown once and stored as their SHA-256: session tokens and login links. Pure, but for chance."""

import hashlib
import re
import secrets
from datetime import timedelta

from secondlook.common.service.authentication import SESSION_PREFIX

IDLE, LIFE = timedelta(hours=8), timedelta(days=7)  # a session ends so long after its last use, and after sign-in
TOUCH = timedelta(minutes=1)  # how exactly the last use is kept
LINK_LIFE = timedelta(hours=24)
_TOKEN = re.compile(rf"(?:{SESSION_PREFIX})?[A-Za-z0-9_-]{{43}}")


def new_session() -> tuple[str, bytes]:
    """A session's token, and what is stored of it."""
    return _with_digest(SESSION_PREFIX + secrets.token_urlsafe(32))


def new_link() -> tuple[str, bytes]:
    """A link's token, and what is stored of it."""
    return _with_digest(secrets.token_urlsafe(32))


def digest(token: str) -> bytes | None:
    """What is stored of a token; None for what cannot be one."""
    return _with_digest(token)[1] if _TOKEN.fullmatch(token) else None


def _with_digest(token: str) -> tuple[str, bytes]:
    return token, hashlib.sha256(token.encode()).digest()
