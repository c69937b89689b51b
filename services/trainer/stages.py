"""The stages of a bundle, and what moves it from one to the next. Pure.

    stored ──the gate lets it through──▶ shadow ──its time is over──▶ canary ──its time is over──▶ active
       ├─the gate keeps the active one──▶ refused ◀──stepped back, or displaced──┘   another one──▶ retired
       └─it only lacks evidence──▶ waiting ──certified to decide as much──▶ a bundle of its own, active
                                      └─a newer model, or the evidence came too late──▶ refused

Stages whose time is 0 are left out. By hand, past the gate, any bundle whose files are kept can become shadow, canary
or active: `secondlook bundle promote`, and `rollback` for the one that was active before. A candidate that had been
active earlier steps back to retired, not to refused.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal


class BundleStage(StrEnum):
    STORED = "stored"  # → shadow, canary, active, refused; the gate's answer comes in the same transaction
    WAITING = "waiting"  # → shadow, canary, active, refused; at most one
    REFUSED = "refused"  # → shadow, canary, active; only by hand, and until its files are removed
    SHADOW = "shadow"  # → canary, active, refused, retired; scores beside the active one
    CANARY = "canary"  # → shadow, active, refused, retired; decides a share of the content
    ACTIVE = "active"  # → retired; decides
    RETIRED = "retired"  # → shadow, canary, active; only by hand, and until its files are removed


Candidate = Literal[BundleStage.SHADOW, BundleStage.CANARY]
PublishedStage = Literal[BundleStage.ACTIVE, BundleStage.SHADOW, BundleStage.CANARY]

_STAGED = frozenset({BundleStage.SHADOW, BundleStage.CANARY, BundleStage.ACTIVE})
_LEFT = frozenset({BundleStage.REFUSED, BundleStage.RETIRED})
TRANSITIONS: Final[Mapping[BundleStage, frozenset[BundleStage]]] = {
    BundleStage.STORED: _STAGED | {BundleStage.REFUSED, BundleStage.WAITING},
    BundleStage.WAITING: _STAGED | {BundleStage.REFUSED},
    BundleStage.REFUSED: _STAGED,
    BundleStage.SHADOW: (_STAGED | _LEFT) - {BundleStage.SHADOW},
    BundleStage.CANARY: (_STAGED | _LEFT) - {BundleStage.CANARY},
    BundleStage.ACTIVE: frozenset({BundleStage.RETIRED}),
    BundleStage.RETIRED: _STAGED,
}
