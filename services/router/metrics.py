"""What the router counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class RouterMetrics:
    """The router's metric catalogue. A stage's auto-approve rate is its `routed{route="approve"}` over its `routed`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.routed = Counter(
            "secondlook_router_routed",
            "Revisions routed, by route (approve, reject, review, superseded), why, and stage (active, canary)",
            ["route", "why", "stage"],
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
            "Texts that the active bundle failed on; they go to review",
            registry=registry,
        )
        self.bundle_usable = Gauge(
            "secondlook_router_bundle_usable",
            "1 while the active bundle covers the policy's labels",
            registry=registry,
        )
        self.bundle_refused = Counter(
            "secondlook_router_bundle_refused",
            "Bundles published as active that were not taken up",
            registry=registry,
        )
        self.stage_usable = Gauge(
            "secondlook_router_stage_usable",
            "1 while the stage (canary, shadow) has a bundle that differs from the active one and covers the labels",
            ["stage"],
            registry=registry,
        )
        self.stage_refused = Counter(
            "secondlook_router_stage_refused",
            "Bundles published as canary or shadow that were not taken up",
            ["stage"],
            registry=registry,
        )
        self.stage_failed = Counter(
            "secondlook_router_stage_failed",
            "Texts that a canary failed on, which the active bundle decides, or that a shadow failed on",
            ["stage"],
            registry=registry,
        )
        self.shadow_routed = Counter(
            "secondlook_router_shadow_routed",
            "Revisions by the route that the active bundle gave them and the one that the shadow would have given",
            ["active", "shadow"],
            registry=registry,
        )
        self.shadow_difference = Histogram(
            "secondlook_router_shadow_score_difference",
            "Absolute difference between the active score and the shadow's",
            ["label"],
            buckets=(0.01, 0.03, 0.1, 0.3),
            registry=registry,
        )
        self.shadow_skipped = Counter(
            "secondlook_router_shadow_skipped",
            "Revisions that the shadow did not score because it was busy",
            registry=registry,
        )
        self.shadow_seconds = Histogram(
            "secondlook_router_shadow_seconds",
            "Seconds that the shadow takes to classify a batch, without waiting for the cores",
            buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=registry,
        )
        self.policy_version = Gauge("secondlook_router_policy_version", "Policy in force", registry=registry)
        self.accepted = Counter("secondlook_router_ingest_accepted", "Items accepted over HTTP", registry=registry)
        self.refused = Counter(
            "secondlook_router_ingest_refused", "Items refused over HTTP", ["reason"], registry=registry
        )
