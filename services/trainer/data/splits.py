"""Which part of the data an item belongs to, fixed when its first label arrives.

- `gold`: a share of everything, frozen: bundles are compared on it and never see it.
- `certify`: what the audit coin drew out of all traffic, and nothing else: thresholds are certified on it.
- `calibrate`: turns logits into probabilities.
- `train`: everything else.

Copies share a draw, and so do the texts of one author, so that no part holds what another was fitted on.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Literal

from secondlook.common.postgres import Connection
from secondlook.common.text.cleaning import compose

# `withheld` is decided by a run (`run/scrutiny.py`) and never stored.
Split = Literal["train", "calibrate", "certify", "gold", "withheld"]

GOLD_SHARE, CALIBRATE_SHARE = 0.10, 0.15
UNIFORM = "uniform"

KNOWN = "SELECT key, draw FROM group_draw WHERE key = ANY($1::bytea[])"
KEEP = "INSERT INTO group_draw (key, draw) VALUES ($1, $2) ON CONFLICT DO NOTHING"

_LINK = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_NAME = re.compile(r"@\w+")
_NUMBER = re.compile(r"\d+")
_OTHER = re.compile(r"[\W_]+")


def canonical(text: str) -> str:
    """The same for texts that differ in case, spacing, punctuation, links, mentions or numbers only: near copies."""
    folded = compose(text).casefold()
    for pattern, word in ((_LINK, " link "), (_NAME, " name "), (_NUMBER, " 0 ")):
        folded = pattern.sub(word, folded)
    # A text of nothing but punctuation is itself.
    return _OTHER.sub(" ", folded).strip() or " ".join(text.split())


def group_keys(text: str, source: str = "", author_id: str | None = None) -> list[bytes]:
    """What an item shares with others: its text, and its author if that is known."""
    keys = [_digest(f"text\0{canonical(text)}")]
    return keys if author_id is None else [*keys, _digest(f"author\0{source}\0{author_id}")]


def split_at(draw: float, stratum: str) -> Split:
    """The part of an item whose group drew this number in [0, 1)."""
    if draw < GOLD_SHARE:
        return "gold"
    if stratum == UNIFORM:
        return "certify"
    return "calibrate" if draw < GOLD_SHARE + CALIBRATE_SHARE else "train"


def own_draw(key: bytes) -> float:
    """The draw of a group of which nothing is known yet."""
    return (int.from_bytes(key[:8]) >> 11) / 2**53


def draws(groups: Sequence[Sequence[bytes]], known: dict[bytes, float]) -> list[float]:
    """The draw of each item, given its group keys, in order; new keys are added to `known`.

    Of several keys the first that is known counts, so the text comes before the author.
    """
    found = []
    for keys in groups:
        draw = next((known[key] for key in keys if key in known), own_draw(keys[0]))
        for key in keys:
            known.setdefault(key, draw)
        found.append(draw)
    return found


async def draw_all(connection: Connection, groups: Sequence[Sequence[bytes]]) -> list[float]:
    """`draws` on top of the stored draws; stores new ones."""
    keys = list({key for group in groups for key in group})
    known = {row["key"]: row["draw"] for row in await connection.fetch(KNOWN, keys)}
    before = set(known)
    found = draws(groups, known)
    await connection.executemany(KEEP, sorted((key, draw) for key, draw in known.items() if key not in before))
    return found


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()
