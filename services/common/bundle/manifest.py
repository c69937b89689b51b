"""The manifest of a bundle: everything about it that is no weight, and what must hold between its parts."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from secondlook.common.bundle.classifier import Calibration
from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.contract.policy import LabelName

FILES = ("encoder.onnx", "tokenizer.json", "head.safetensors")
REPORT, CARD = "report.html", "model-card.md"  # lie beside them, for people
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Certificate(_Section):
    """`k` of `n` uniformly sampled items were wrong; at confidence 1 - `delta` the risk is at most `upper_bound`."""

    n: Count
    k: Count
    epsilon: Share
    delta: Share
    upper_bound: Share


class CertifiedThreshold(_Section):
    """A threshold on the calibrated probability and why it may be used."""

    threshold: Share
    certificate: Certificate


class CertifiedThresholds(_Section):
    """The sides that could be certified; a side that is missing is off."""

    approve: CertifiedThreshold | None = None
    reject: dict[LabelName, CertifiedThreshold] = {}


class LabelMetrics(_Section):
    """Quality of a label on a hold-out of `n` judged items. None where the hold-out does not define it."""

    n: Count
    positives: Count
    auroc: Share | None = None
    auprc: Share | None = None
    log_loss: Annotated[float, Field(ge=0)] | None = None
    brier: Share | None = None
    ece: Share | None = None


class EncoderInfo(_Section):
    """Which encoder a bundle carries. `max_tokens` is how far into a text it reads."""

    name: str
    sha256: Sha256
    max_tokens: Annotated[int, Field(ge=3, le=8192)] = 256


class SelfTest(_Section):
    """A text and the scores that the bundle gave it when it was made."""

    text: str
    scores: dict[LabelName, Share]


class Manifest(_Section):
    """Everything about a bundle that is no weight."""

    format: Literal[1] = 1
    bundle_version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    created_at: AwareDatetime
    labels: Annotated[tuple[LabelName, ...], Field(min_length=1, max_length=64)]
    features: FeatureSpec
    calibration: dict[LabelName, Calibration]
    thresholds: CertifiedThresholds | None = None
    metrics: dict[LabelName, LabelMetrics]
    data_fingerprint: str
    encoder: EncoderInfo
    self_test: Annotated[tuple[SelfTest, ...], Field(min_length=1, max_length=64)]
    files: dict[Literal["encoder.onnx", "tokenizer.json", "head.safetensors"], Sha256]

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if set(self.files) != set(FILES):
            raise ValueError(f"files must be {', '.join(FILES)}")
        if self.files["encoder.onnx"] != self.encoder.sha256:
            raise ValueError("encoder.sha256 is not that of encoder.onnx")
        for test in self.self_test:
            if set(test.scores) != set(self.labels):
                raise ValueError("a self-test needs a score for every label")
        if self.thresholds is not None and not set(self.thresholds.reject) <= set(self.labels):
            raise ValueError("thresholds for labels that the bundle does not have")
        return self
