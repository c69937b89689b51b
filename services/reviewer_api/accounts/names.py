"""Usernames: one person, one spelling. Pure."""

import re
import unicodedata

LONGEST = 64
RULE = f"a username has 1 to {LONGEST} letters, digits, '.', '_', '-', '@' and '+', a letter or digit first"
_SHAPE = re.compile(r"\w[\w.@+-]*")


def fold(username: str) -> str | None:
    """The spelling that counts (NFKC, no case); None for what is no username by the RULE."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username.strip()).casefold())
    return folded if len(folded) <= LONGEST and _SHAPE.fullmatch(folded) else None
