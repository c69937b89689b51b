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
