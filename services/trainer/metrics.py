"""What the trainer counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class TrainerMetrics:
    """The trainer's metric catalogue."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.labels = Counter(
            "secondlook_trainer_labels", "Judgements stored, by stratum", ["stratum"], registry=registry
        )
        self.runs = Counter("secondlook_trainer_runs", "Training runs by how they ended", ["state"], registry=registry)
        self.running = Gauge("secondlook_trainer_running", "1 while a model is being fitted", registry=registry)
        self.run_seconds = Gauge("secondlook_trainer_run_seconds", "Seconds the latest run took", registry=registry)
        self.new_labels = Gauge(
            "secondlook_trainer_new_labels", "Labels that came in since the latest run", registry=registry
        )
        self.second_looks = Counter(
            "secondlook_trainer_second_looks", "Items sent back to review, their answer looked wrong", registry=registry
        )
        self.audits = Gauge(
            "secondlook_trainer_audits",
            "Audited items that the active bundle's side decides",
            ["side"],
            registry=registry,
        )
        self.audit_errors = Gauge(
            "secondlook_trainer_audit_errors", "Of these, decided wrongly", ["side"], registry=registry
        )
        self.side_off = Gauge(
            "secondlook_trainer_side_off", "1 if audits switched the side off; page on it", ["side"], registry=registry
        )
        self.drift = Counter(
            "secondlook_trainer_drift", "Changes of the mean that were found, by series", ["series"], registry=registry
        )
