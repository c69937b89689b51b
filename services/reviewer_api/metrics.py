"""The metrics that reviewer_api adds to those of its streams."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LAG_BUCKETS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)


class ReviewerMetrics:
    """The catalogue. One instance a process, on the process's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.queue_depth = Gauge(
            "secondlook_review_queue_depth", "Items that wait for a reviewer", ["queue"], registry=registry
        )
        self.queue_leased = Gauge(
            "secondlook_review_queue_leased", "Items that a reviewer holds", ["queue"], registry=registry
        )
        self.queue_oldest = Gauge(
            "secondlook_review_queue_oldest_seconds",
            "Age of the item that has waited longest, 0 when the queue is empty",
            ["queue"],
            registry=registry,
        )
        self.queue_overdue = Gauge(
            "secondlook_review_queue_overdue",
            "Items open for longer than the queue's SLA",
            ["queue"],
            registry=registry,
        )
        self.requests = Counter(
            "secondlook_review_requests",
            "Records of review.requested handled, by kind: requested, cancelled or second_look; repeats included",
            ["kind"],
            registry=registry,
        )
        self.claims = Counter("secondlook_review_claims", "Items given to reviewers", registry=registry)
        self.empty_claims = Counter(
            "secondlook_review_empty_claims", "Claims that found nothing to review", registry=registry
        )
        self.judgements = Counter(
            "secondlook_review_judgements",
            "Verdicts given, by outcome and by what became of the item: decided, second_opinion or escalated",
            ["outcome", "result"],
            registry=registry,
        )
        self.returned = Counter(
            "secondlook_review_returned",
            "Items given back without a verdict, by how: released, skipped or escalated",
            ["how"],
            registry=registry,
        )
        self.undos = Counter("secondlook_review_undos", "Verdicts taken back within their grace", registry=registry)
        self.conflicts = Counter(
            "secondlook_review_conflicts", "Requests answered 409, by problem code", ["code"], registry=registry
        )
        self.published = Counter(
            "secondlook_review_published",
            "Items published, by result: decided, or confirmed when nothing changed (audits, second looks, gold)",
            ["result"],
            registry=registry,
        )
        self.publish_lag = Histogram(
            "secondlook_review_publish_lag_seconds",
            "Time from the end of the undo grace to publication",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self.policy_version = Gauge(
            "secondlook_review_policy_version", "Version of the policy in force, 0 without one", registry=registry
        )
