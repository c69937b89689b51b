"""The thresholds that a bundle may decide by, each with the counts that allow it, and whether it follows from them.

Whoever certifies and whoever believes a certificate use the same arithmetic: `bound_of`, `side_delta` and `BELOW_HALF`.
`fault` is the one place that says whether a certificate follows from its own numbers.
"""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict
from scipy.special import betainccinv

from secondlook.common.bundle.sequential import risk_bound
from secondlook.common.contract.fields import Count, Label, Probability
from secondlook.common.contract.policy import Risk

HALF, BELOW_HALF = 0.5, math.nextafter(0.5, 0)
TOLERANCE = 1e-6  # relative, between libraries and machines
MOST_ITEMS = 10**9  # in one certificate; beyond, the arithmetic says little
MOST_DELTA = 0.5  # of all sides together: no policy may ask for less confidence than 1 - MOST_DELTA


class ManifestPart(BaseModel):
    """A part of the manifest: it never changes, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Certificate(ManifestPart):
    """`k` of `n` uniformly sampled items were wrong; at confidence 1 - `delta` the risk is at most `upper_bound`.

    `method`: `mixture` holds at every moment together (`sequential.py`); `exact`, of certificates from before it, is an
    exact binomial bound. `n` counts copies of a right item once, `judged` counts each. `declared`: of them, how many
    people declared to be a uniform sample. `missing`: items of the same region that were withdrawn, or superseded,
    before anybody judged them.
    """

    n: Count
    k: Count
    epsilon: Probability
    delta: Probability
    upper_bound: Probability
    method: Literal["exact", "mixture"] = "exact"
    judged: Count = 0
    declared: Count = 0
    missing: Count = 0


class CertifiedThreshold(ManifestPart):
    """A threshold on the calibrated probability and why it may be used.

    `labels` are those that an approval was certified for; None: the labels of the bundle, or a rejection, which is
    about its own label only.
    """

    threshold: Probability
    certificate: Certificate
    labels: tuple[Label, ...] | None = None


class CertifiedThresholds(ManifestPart):
    """The sides that could be certified; a side that is missing is off."""

    approve: CertifiedThreshold | None = None
    reject: dict[Label, CertifiedThreshold] = {}


def upper_bound(k: int, n: int, delta: float) -> float:
    """The exact one-sided upper bound of a share, at confidence 1 - delta, from `k` of `n`; 1 for n = 0."""
    return float(betainccinv(k + 1, n - k, delta)) if k < n else 1.0


def bound_of(certificate: Certificate) -> float:
    """The upper bound of the risk that follows from the numbers of a certificate."""
    bound = upper_bound if certificate.method == "exact" else risk_bound
    return bound(certificate.k, certificate.n, certificate.delta)


def side_delta(risk: Risk, labels: int, share: int) -> float:
    """The chance of error that one side may spend for its share, the first being 1; ValueError below that.

    All shares together are the whole: 1/(1·2) + 1/(2·3) + … = 1.
    """
    if share < 1:
        raise ValueError(f"share {share}: the first is 1")
    return (1 - risk.confidence) / (1 + labels) / (share * (share + 1))


def fault(certificate: Certificate) -> str | None:
    """Why a certificate does not follow from its own numbers, or None if it does."""
    n, k, delta = certificate.n, certificate.k, certificate.delta
    if not 1 <= n <= MOST_ITEMS:
        return f"it rests on {n} items"
    if k > n:
        return f"{k} of {n} items were wrong"
    if not 0 < delta < 1 or not 0 < certificate.epsilon < 1:
        return f"delta {delta:g} and epsilon {certificate.epsilon:g} must lie between 0 and 1"
    bound = bound_of(certificate)
    if not math.isclose(certificate.upper_bound, bound, rel_tol=TOLERANCE):
        return f"its upper bound is {certificate.upper_bound:g}, and {k} of {n} at delta {delta:g} give {bound:g}"
    if bound > certificate.epsilon:
        return f"its upper bound {bound:g} exceeds its epsilon {certificate.epsilon:g}"
    return None


def faults(thresholds: CertifiedThresholds) -> list[str]:
    """What is false about the certificates of a bundle, a line for each side; empty if all of it holds together.

    Beside `fault`: no certified side reaches past one half, so none approves what another rejects; and the sides
    together leave more confidence than half, the least that a policy may ask for.
    """
    found = []
    approve = thresholds.approve
    if approve is not None and approve.threshold >= HALF:
        found.append(f"approve: its threshold {approve.threshold:g} is not below {HALF:g}")
    found += [
        f"reject {label}: its threshold {side.threshold:g} is below {HALF:g}"
        for label, side in sorted(thresholds.reject.items())
        if side.threshold < HALF
    ]
    named = {} if approve is None else {"approve": approve}
    named |= {f"reject {label}": side for label, side in sorted(thresholds.reject.items())}
    found += [f"{name}: {why}" for name, side in named.items() if (why := fault(side.certificate)) is not None]
    if (spent := sum(side.certificate.delta for side in named.values())) >= MOST_DELTA:
        found.append(f"the sides together may be wrong with a chance of {spent:g}")
    return found
