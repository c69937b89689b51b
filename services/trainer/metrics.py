"""What the trainer counts."""

from secondlook.common.metrics import Catalogue, counter, gauge


class TrainerMetrics(Catalogue):
    """The trainer's metrics."""

    labels = counter("secondlook_trainer_labels", "Judgements stored, by stratum", "stratum")
    runs = counter("secondlook_trainer_runs", "Training runs by how they ended", "state")
    running = gauge("secondlook_trainer_running", "1 while a model is being fitted")
    run_seconds = gauge("secondlook_trainer_run_seconds", "Seconds the latest run took")
    new_labels = gauge("secondlook_trainer_new_labels", "Labels that came in since the latest run")
    second_looks = counter(
        "secondlook_trainer_second_looks", "Items sent back to review because their label looked wrong"
    )
    second_judgements = counter(
        "secondlook_trainer_second_judgements", "Items that measure, sent to a second reviewer by lot"
    )
    noticed = counter(
        "secondlook_trainer_noticed",
        "Notices that people find more harm than the active model lets expect; look into it",
    )
    audits = gauge("secondlook_trainer_audits", "Audited items that the active bundle's side decides", "side")
    audit_errors = gauge(
        "secondlook_trainer_audit_errors", "Of the audited items, those that the side decided wrongly", "side"
    )
    side_off = gauge("secondlook_trainer_side_off", "1 if audits switched the side off; page on it", "side")
    drift = counter("secondlook_trainer_drift", "Changes of the mean that the drift alarm found, by series", "series")
