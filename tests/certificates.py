"""Certificates that follow from their numbers, for tests that are about something else."""

from secondlook.common.bundle.certificates import Certificate, CertifiedThreshold, CertifiedThresholds, upper_bound
from secondlook.common.contract.policy import Thresholds


def certificate(n: int = 400, k: int = 0, delta: float = 0.01, epsilon: float | None = None) -> Certificate:
    """A true certificate; its epsilon is its bound, unless given."""
    bound = upper_bound(k, n, delta)
    return Certificate(n=n, k=k, epsilon=bound if epsilon is None else epsilon, delta=delta, upper_bound=bound)


SURE = certificate(n=1_000_000, delta=1e-6, epsilon=1e-4)  # good enough for every policy of the tests


def certified(thresholds: Thresholds) -> CertifiedThresholds:
    """The thresholds, each with a certificate that every policy of the tests accepts."""
    approve, reject = thresholds.approve, thresholds.reject
    return CertifiedThresholds(
        approve=None if approve is None else CertifiedThreshold(threshold=approve, certificate=SURE),
        reject={label: CertifiedThreshold(threshold=at, certificate=SURE) for label, at in reject.items()},
    )
