"""The metrics that reviewer_api adds to those of its streams."""

from secondlook.common.metrics import Catalogue, counter, gauge, histogram

LAG_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class ReviewerMetrics(Catalogue):
    """The metrics of reviewer_api."""

    queue_depth = gauge("secondlook_review_queue_depth", "Items that wait for a reviewer", "queue")
    queue_leased = gauge("secondlook_review_queue_leased", "Items that a reviewer holds", "queue")
    queue_oldest = gauge(
        "secondlook_review_queue_oldest_seconds",
        "Age of the item that has waited longest, 0 when the queue is empty",
        "queue",
    )
    queue_overdue = gauge("secondlook_review_queue_overdue", "Items open for longer than the queue's SLA", "queue")
    requests = counter(
        "secondlook_review_requests",
        "Records of review.requested handled, by kind: requested (second looks too) or cancelled; repeats included",
        "kind",
    )
    claims = counter("secondlook_review_claims", "Items given to reviewers")
    empty_claims = counter("secondlook_review_empty_claims", "Claims that found nothing to review")
    judgements = counter(
        "secondlook_review_judgements",
        "Verdicts given, by outcome and by what became of the item: decided, second_opinion or escalated",
        "outcome",
        "result",
    )
    returned = counter(
        "secondlook_review_returned",
        "Leases that ended without a verdict, by how: released, skipped, escalated, expired (somebody else took the "
        "item) or taken_back (by a lead)",
        "how",
    )
    assigned = counter("secondlook_review_assigned", "Items that a lead assigned to a reviewer")
    left_over = counter(
        "secondlook_review_left_over",
        "Items moved to the escalation queue because every reviewer whose work they were had skipped or judged them",
    )
    without_candidates = gauge(
        "secondlook_review_without_candidates",
        "Open items that everybody who may take them has skipped or judged; in the escalation queue leads get them "
        "again",
        "queue",
    )
    undos = counter("secondlook_review_undos", "Verdicts taken back within their grace")
    conflicts = counter("secondlook_review_conflicts", "Requests answered 409, by problem code", "code")
    published = counter(
        "secondlook_review_published",
        "Items published, by result: decided, or confirmed when nothing changed (audits, second looks, gold)",
        "result",
    )
    publish_lag = histogram(
        "secondlook_review_publish_lag_seconds",
        "Time from the end of the undo grace to publication",
        buckets=LAG_SECONDS,
    )
    policy_version = gauge("secondlook_review_policy_version", "Version of the policy in force, 0 without one")
    webhook_attempts = counter(
        "secondlook_webhook_attempts", "Attempts to deliver, by result: arrived or failed", "result"
    )
    webhook_given_up = counter("secondlook_webhook_given_up", "Deliveries given up after 3 days; they can be replayed")
