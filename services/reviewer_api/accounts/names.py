"""Usernames: one person, one spelling. Pure."""

import re
import unicodedata

LONGEST = 64
_SHAPE = re.compile(r"^[\w][\w.@+-]*$")


def fold(username: str) -> str | None:
    """The spelling that counts (NFKC, no case); None for what is no username: 1 to 64 letters, digits, `.`, `_`, `-`,
    `@` and `+`, a letter or digit first."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username.strip()).casefold())
    return folded if len(folded) <= LONGEST and _SHAPE.match(folded) else None
