"""What the router counts of the classifiers that it asks."""

from secondlook.common.metrics import Catalogue, counter, histogram

SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class SignalMetrics(Catalogue):
    """The requests to the classifiers that the policy names, and what is missing because of them."""

    requests = counter(
        "secondlook_router_signal_requests",
        "Items that a classifier of the policy was to be asked about, by result (answered, failed, kept: a kept answer "
        "served, resting: it did not answer of late, over_limit)",
        "endpoint",
        "result",
    )
    seconds = histogram(
        "secondlook_router_signal_seconds", "Seconds that a classifier took to answer", "endpoint", buckets=SECONDS
    )
    missing = counter(
        "secondlook_router_signal_missing",
        "Revisions without a signal that the policy requires; people review them",
        "signal",
    )
