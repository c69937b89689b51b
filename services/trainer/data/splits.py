"""Which part of the data an item belongs to, fixed when its first label arrives.

- `gold`: a share of everything, frozen: bundles are compared on it and never see it.
- `certify`: a share of the content that people were asked about, evidence of every model: none learns from it. While a
  deployment holds nothing out, it is what the audit coin drew out of all traffic.
- `calibrate`: turns logits into probabilities.
- `train`: everything else.

Copies share a draw, and so do the texts of one author, so that no part holds what another was fitted on. The share that
was held out when the first of a group came holds for the whole group.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from secondlook.common.contract.events import ContentLabelled, ContentSubmitted
from secondlook.common.postgres import Connection
from secondlook.common.text.cleaning import compose

# `withheld` is decided by a run (`run/scrutiny.py`) and never stored.
Split = Literal["train", "calibrate", "certify", "gold", "withheld"]

GOLD_SHARE, CALIBRATE_SHARE = 0.10, 0.15
UNIFORM = "uniform"
IMPORTED = "imported"  # the stratum of items judged elsewhere
DECLARED = "declared"  # the same, of a file that people declared to be a uniform sample of the traffic
REVERSED = "reversal"  # of an answer that a person chose to change: it may teach, and measures nothing
REPORTED = "reported"  # of content that users chose to report: the same
CHOSEN = (REVERSED, REPORTED)
ELSEWHERE = (IMPORTED, DECLARED)

MEASURING: tuple[Split, ...] = ("gold", "certify")
LEAST_HELD, HELD_ITEMS = 0.5, 1_000  # of the policy's share, once evidence is plenty; items until it begins to fall

KNOWN = "SELECT key, draw, coalesce(held_out, 0) AS share FROM group_draw WHERE key = ANY($1::bytea[])"
KEEP = "INSERT INTO group_draw (key, draw, held_out) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"

_LINK = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_NAME = re.compile(r"@\w+")
_NUMBER = re.compile(r"\d+")
_OTHER = re.compile(r"[\W_]+")


_LETTERS = str.maketrans("0123456789", "ghijklmnop")  # numbers do not tell texts apart
PHRASE = 5  # words; shorter texts are what many people say, not copies of each other


class Draw(NamedTuple):
    """The number in [0, 1) that a group drew, and the share that was held out when it did, gold included."""

    number: float
    share: float = 0.0


def canonical(text: str) -> str:
    """The same for texts that differ in case, spacing, punctuation, links, mentions or numbers only: near copies."""
    folded = compose(text).casefold()
    for pattern, word in ((_LINK, " link "), (_NAME, " name "), (_NUMBER, " 0 ")):
        folded = pattern.sub(word, folded)
    # A text of nothing but punctuation is itself.
    return _OTHER.sub(" ", folded).strip() or " ".join(text.split())


def stand_in(item: ContentSubmitted | ContentLabelled) -> str:
    """The text; of an item that has none a word that is like no other item's, so that it is nobody's copy."""
    return item.text or _digest(f"item\0{item.key}").hex().translate(_LETTERS)


def group_keys(text: str, source: str = "", author_id: str | None = None) -> list[bytes]:
    """What an item shares with others: its text, and its author if that is known."""
    keys = [_digest(f"text\0{canonical(text)}")]
    return keys if author_id is None else [*keys, _digest(f"author\0{source}\0{author_id}")]


def cluster_keys(text: str, source: str = "", author_id: str | None = None) -> list[bytes]:
    """What makes an item say nothing new beside others: that it copies them, or that its author wrote them.

    A text of less than `PHRASE` words is no copy of the same words elsewhere: people greet and agree all day, and each
    time counts.
    """
    text_key, *author_keys = group_keys(text, source, author_id)
    return [text_key, *author_keys] if len(canonical(text).split()) >= PHRASE else author_keys


def held_share(most: float, items: int) -> float:
    """The share to hold out of new groups: `most` at first, half of it from 8,000 items on that people were asked
    about."""
    return float(most * max(LEAST_HELD, (HELD_ITEMS / max(items, HELD_ITEMS)) ** (1 / 3)))


def held_out(draw: Draw) -> bool:
    """Whether no model learns from items of this draw."""
    return draw.number < max(GOLD_SHARE, draw.share)


def split_at(draw: Draw, stratum: str) -> Split:
    """The part of an item of this draw."""
    if draw.number < GOLD_SHARE:
        return "gold"
    if held_out(draw) or (stratum == UNIFORM and not draw.share):
        return "certify"
    held = max(GOLD_SHARE, draw.share)
    calibrates = CALIBRATE_SHARE / (1 - GOLD_SHARE)  # of what models learn from
    return "calibrate" if draw.number < held + calibrates * (1 - held) else "train"


def own_draw(key: bytes) -> float:
    """The draw of a group of which nothing is known yet."""
    return (int.from_bytes(key[:8]) >> 11) / 2**53


def draws(groups: Sequence[Sequence[bytes]], known: dict[bytes, Draw], share: float = 0.0) -> list[Draw]:
    """The draw of each item, given its group keys, in order; new keys are added to `known`, with this share held out.

    Of several keys the first that is known counts, so the text comes before the author.
    """
    found = []
    for keys in groups:
        draw = next((known[key] for key in keys if key in known), Draw(own_draw(keys[0]), share))
        for key in keys:
            known.setdefault(key, draw)
        found.append(draw)
    return found


async def draw_all(connection: Connection, groups: Sequence[Sequence[bytes]], share: float) -> list[Draw]:
    """`draws` on top of the stored draws; stores new ones."""
    keys = list({key for group in groups for key in group})
    known = {row["key"]: Draw(row["draw"], row["share"]) for row in await connection.fetch(KNOWN, keys)}
    before = set(known)
    found = draws(groups, known, share)
    await connection.executemany(KEEP, sorted((key, *draw) for key, draw in known.items() if key not in before))
    return found


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()
