"""What the router counts."""

from secondlook.common.metrics import Catalogue, counter, gauge, histogram

BATCH_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class RouterMetrics(Catalogue):
    """The router's metrics. A stage's auto-approve rate is its `routed{route="approve"}` over its `routed`."""

    routed = counter(
        "secondlook_router_routed",
        "Revisions routed, by route (approve, reject, review, superseded, withdrawn), why, and stage (active, canary)",
        "route",
        "why",
        "stage",
    )
    out_of_scope = counter(
        "secondlook_router_out_of_scope",
        "Revisions that the model was not made for, by reason (blank, mixed_scripts, script, disguised, language, "
        "unknown_words, far, long, signals); people review them, except for rejections of long ones",
        "reason",
    )
    audited = counter("secondlook_router_audited", "Automatic decisions sent to blind audit", "route")
    audit_rate = gauge(
        "secondlook_router_audit_rate",
        "Share of the automatic decisions of an outcome (approve, reject) that people audit; it falls as content comes",
        "outcome",
    )
    duplicates = counter("secondlook_router_duplicates", "Revisions that were already routed, left alone")
    withdrawn = counter("secondlook_router_withdrawn", "Withdrawals of known content")
    remembered = counter(
        "secondlook_router_withdrawals_remembered", "Withdrawals that came before anything else of their content"
    )
    raised = counter(
        "secondlook_router_reviews_raised", "Open reviews that repeats with higher counts gave an earlier place"
    )
    reports = counter(
        "secondlook_router_reports",
        "Users' reports read, by result (kept, repeated, dropped: of content that has heavier ones than are kept)",
        "result",
    )
    reopened = counter(
        "secondlook_router_reopened",
        "Automatic approvals that reports sent to a person, by reporters (proven, unproven)",
        "reporters",
    )
    reports_forgotten = counter(
        "secondlook_router_reports_forgotten",
        "Reports removed, by reason (old, unknown: too many of content that never came)",
        "reason",
    )
    approved_kept = gauge(
        "secondlook_router_approved_kept", "Automatic approvals whose text is kept in case users report them"
    )
    approved_dropped = counter(
        "secondlook_router_approved_dropped", "Texts of approvals that were removed early, because too many are kept"
    )
    reopenings_waiting = gauge(
        "secondlook_router_reopenings_waiting",
        "Approvals that unproven reporters alone want reviewed, and that wait until fewer such items are in review",
    )
    classify_seconds = histogram(
        "secondlook_router_classify_seconds", "Seconds to classify a batch", buckets=BATCH_SECONDS
    )
    unclassified = counter(
        "secondlook_router_unclassified", "Texts that the active bundle failed on; they go to review"
    )
    bundle_usable = gauge("secondlook_router_bundle_usable", "1 while the active bundle covers the policy's labels")
    bundle_refused = counter("secondlook_router_bundle_refused", "Bundles published as active that failed to load")
    stage_usable = gauge(
        "secondlook_router_stage_usable",
        "1 while the stage (canary, shadow) has a bundle that differs from the active one and covers the labels",
        "stage",
    )
    stage_refused = counter(
        "secondlook_router_stage_refused", "Bundles published as canary or shadow that failed to load", "stage"
    )
    stage_failed = counter(
        "secondlook_router_stage_failed",
        "Texts that a canary failed on, which the active bundle decides, or that a shadow failed on",
        "stage",
    )
    shadow_routed = counter(
        "secondlook_router_shadow_routed",
        "Revisions by the route that the active bundle gave them and the one that the shadow would have given",
        "active",
        "shadow",
    )
    shadow_difference = histogram(
        "secondlook_router_shadow_score_difference",
        "Absolute difference between the active score and the shadow's",
        "label",
        buckets=(0.01, 0.03, 0.1, 0.3),
    )
    shadow_skipped = counter(
        "secondlook_router_shadow_skipped", "Revisions that the shadow did not score because it was busy"
    )
    shadow_seconds = histogram(
        "secondlook_router_shadow_seconds",
        "Seconds that the shadow takes to classify a batch, without waiting for the cores",
        buckets=BATCH_SECONDS,
    )
    policy_version = gauge("secondlook_router_policy_version", "Version of the policy in force")
    policy_refused = counter(
        "secondlook_router_policy_refused", "Policies whose version was too far ahead of the one in force, which stayed"
    )
    bundle_info = gauge(
        "secondlook_router_bundle_info",
        "1 for the bundle that is loaded for a stage (active, canary, shadow), with its version and sha256",
        "stage",
        "version",
        "sha256",
    )
    side_held_back = gauge(
        "secondlook_router_side_held_back",
        "1 for a certified side of the active bundle that decides nothing, as the policy asks for more than its "
        "certificate says",
        "side",
    )
    accepted = counter("secondlook_router_ingest_accepted", "Items accepted over HTTP")
    refused = counter("secondlook_router_ingest_refused", "Items refused over HTTP", "reason")
