"""Secrets that are shown once and stored as their SHA-256: session tokens and login links. Pure, but for chance."""

import hashlib
import re
import secrets
from datetime import timedelta

from secondlook.common.service.authentication import SESSION_PREFIX

IDLE, LIFE = timedelta(hours=8), timedelta(days=7)  # a session ends so long after its last use, and after sign-in
TOUCH = timedelta(minutes=1)  # how exactly the last use is kept
LINK_LIFE = timedelta(hours=24)
_TOKEN = re.compile(r"^(?:ss_)?[A-Za-z0-9_-]{43}$")


def new_session() -> str:
    return SESSION_PREFIX + secrets.token_urlsafe(32)


def new_link() -> str:
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes | None:
    """What is stored of a token; None for what cannot be one."""
    return hashlib.sha256(token.encode()).digest() if _TOKEN.match(token) else None
