"""The manifest of a bundle: everything about it that is no weight, and what must hold between its parts.

Bundles are written in format 2, a list of stages. Format 1 had the parts of its only stage beside the others; its files
lie where those of format 2 do, so it is converted on reading and nothing else knows of it.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from secondlook.common.bundle.certificates import CertifiedThresholds, ManifestPart
from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.bundle.novelty import Profile
from secondlook.common.contract.fields import Count, Label, Probability, SignalName
from secondlook.common.head.calibration import Calibration
from secondlook.common.head.signals import Features

FORMATS = (1, 2)
ENCODER_FILES, HEAD_FILE = ("encoder.onnx", "tokenizer.json"), "head.safetensors"
FILES = (*ENCODER_FILES, HEAD_FILE)  # of a stage with an encoder
REPORT, CARD = "report.html", "model-card.md"  # lie beside them, for people
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LabelMetrics(ManifestPart):
    """Quality of a label on a hold-out of `n` judged items. None where the hold-out does not define it."""

    n: Count
    positives: Count
    auroc: Probability | None = None
    auprc: Probability | None = None
    log_loss: Annotated[float, Field(ge=0)] | None = None
    brier: Probability | None = None
    ece: Probability | None = None


class EncoderInfo(ManifestPart):
    """Which encoder a bundle carries. `max_tokens` is how far into a text it reads."""

    name: str
    sha256: Sha256
    max_tokens: Annotated[int, Field(ge=3, le=8192)] = 256


class SelfTest(ManifestPart):
    """A text, what signals said of it, and the scores that the bundle gave it when it was made."""

    text: str
    signals: dict[SignalName, Probability] = {}  # noqa: RUF012
    scores: dict[Label, Probability]


class ModelStage(ManifestPart):
    """One model of a bundle: a head on n-grams, and on an embedding if the stage has an encoder.

    `folder` is where its files lie in the bundle, the bundle itself if empty; `files` are their sha256. `novelty` is
    what the stage was made for; bundles that were made without one have only the checks that need none. `signals` are
    those that the head weighs beside the text, as training saw them.
    """

    folder: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_-]{0,31})?$")] = ""
    features: FeatureSpec
    encoder: EncoderInfo | None = None
    calibration: dict[Label, Calibration]
    novelty: Profile | None = None
    signals: Features = ()
    files: dict[Literal["encoder.onnx", "tokenizer.json", "head.safetensors"], Sha256]

    @model_validator(mode="after")
    def _has_its_files(self) -> Self:
        needed = (HEAD_FILE,) if self.encoder is None else FILES
        if set(self.files) != set(needed):
            raise ValueError(f"files must be {', '.join(needed)}")
        if self.encoder is not None and self.files["encoder.onnx"] != self.encoder.sha256:
            raise ValueError("encoder.sha256 is not that of encoder.onnx")
        return self

    def path(self, name: str) -> str:
        """Where a file of the stage lies, from the folder of the bundle on."""
        return f"{self.folder}/{name}" if self.folder else name


class Manifest(ManifestPart):
    """Everything about a bundle that is no weight.

    `stages` are in the order in which they see a text; whatever no earlier stage decided is the last one's. Labels,
    thresholds, metrics and self-test are those of all stages together. So far a bundle has exactly one stage, and that
    has an encoder: no service runs others yet.
    """

    format: Literal[2] = 2
    bundle_version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    created_at: AwareDatetime
    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=64)]
    stages: Annotated[tuple[ModelStage, ...], Field(min_length=1, max_length=1)]
    thresholds: CertifiedThresholds | None = None
    metrics: dict[Label, LabelMetrics]
    data_fingerprint: str
    self_test: Annotated[tuple[SelfTest, ...], Field(min_length=1, max_length=64)]

    @model_validator(mode="before")
    @classmethod
    def _in_the_newest_format(cls, document: Any) -> Any:
        if not isinstance(document, dict) or document.get("format", 1) != 1 or "stages" in document:
            return document
        stage = {name: document[name] for name in ("features", "encoder", "calibration", "files") if name in document}
        others = {name: value for name, value in document.items() if name not in stage}
        return {**others, "format": 2, "stages": [stage]}

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.stages[-1].encoder is None:
            raise ValueError("the last stage has no encoder")
        for test in self.self_test:
            if set(test.scores) != set(self.labels):
                raise ValueError("a self-test needs a score for every label")
        if self.thresholds is not None and not set(self.thresholds.reject) <= set(self.labels):
            raise ValueError("thresholds for labels that the bundle does not have")
        return self

    @property
    def encoder(self) -> EncoderInfo:
        """The encoder of the last stage: the one that gives an item its embedding."""
        encoder = self.stages[-1].encoder
        assert encoder is not None  # noqa: S101
        return encoder

    @property
    def features(self) -> FeatureSpec:
        """The n-grams that the last stage sees."""
        return self.stages[-1].features

    @property
    def files(self) -> dict[str, Sha256]:
        """Every file of the bundle but the manifest, by its path in the folder, with its sha256."""
        return {stage.path(name): sha256 for stage in self.stages for name, sha256 in stage.files.items()}
