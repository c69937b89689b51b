"""What the router counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class RouterMetrics:
    """The router's metric catalogue. The auto-approve rate is `routed{route="approve"}` over all of `routed`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.routed = Counter(
            "secondlook_router_routed",
            "Revisions routed, by route (approve, reject, review, superseded) and why",
            ["route", "why"],
            registry=registry,
        )
        self.audited = Counter(
            "secondlook_router_audited", "Automatic decisions sent to blind audit", ["route"], registry=registry
        )
        self.duplicates = Counter(
            "secondlook_router_duplicates", "Revisions that were already routed, left alone", registry=registry
        )
        self.withdrawn = Counter("secondlook_router_withdrawn", "Withdrawals taken in", registry=registry)
        self.classify_seconds = Histogram(
            "secondlook_router_classify_seconds",
            "Seconds to classify a batch",
            buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=registry,
        )
        self.unclassified = Counter(
            "secondlook_router_unclassified",
            "Texts that the bundle in force failed on; they go to review",
            registry=registry,
        )
        self.bundle_usable = Gauge(
            "secondlook_router_bundle_usable", "1 while a bundle covers the policy's labels", registry=registry
        )
        self.bundle_refused = Counter(
            "secondlook_router_bundle_refused", "Published bundles that were not taken up", registry=registry
        )
        self.policy_version = Gauge("secondlook_router_policy_version", "Policy in force", registry=registry)
        self.accepted = Counter("secondlook_router_ingest_accepted", "Items accepted over HTTP", registry=registry)
        self.refused = Counter(
            "secondlook_router_ingest_refused", "Items refused over HTTP", ["reason"], registry=registry
        )
