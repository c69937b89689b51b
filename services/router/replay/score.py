"""Where the router would send content, by what a bundle makes of it."""

from collections.abc import Callable, Sequence

from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.text.scope import Scope
from secondlook.router.classify import Classified, classify
from secondlook.router.coin.secret import CoinSecret
from secondlook.router.replay.count import Fate
from secondlook.router.routing import route
from secondlook.router.state import InForce, Model

TEXTS = 256  # classified at a time

Read = Callable[[Sequence[ContentSubmitted]], Sequence[Classified | None]]


def read_contents(
    model: Model | None, progress: Callable[[int], None], contents: Sequence[ContentSubmitted]
) -> list[Classified | None]:
    """What the router makes of each item; None for each without a model. `progress` hears of every batch's size."""
    rows: list[Classified | None] = []
    for start in range(0, len(contents), TEXTS):
        part = contents[start : start + TEXTS]
        rows += classify(model, part) if model is not None else [None] * len(part)
        progress(len(part))
    return rows


def route_all(contents: Sequence[ContentSubmitted], force: InForce, read: Read, secret: CoinSecret) -> list[Fate]:
    """Where the router would send these, by what `read` says of them and by the audit coin."""
    fates = []
    for content, row in zip(contents, read(contents), strict=True):
        scores = force.scores(row.scores) if row is not None else None
        scope, detail = (row.scope, row.detail) if row is not None else (Scope.LONG, "")
        u = secret.flip(content)
        routing = route(content, scores, force.thresholds, force.policy, u=u, scope=scope, detail=detail)
        fates.append(Fate.of(routing, scores))
    return fates
