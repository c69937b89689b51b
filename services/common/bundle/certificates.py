"""The thresholds that a bundle may decide by, each with the counts that allow it."""

from pydantic import BaseModel, ConfigDict

from secondlook.common.contract.fields import Count, Label, Probability


class ManifestPart(BaseModel):
    """A part of the manifest: it never changes, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Certificate(ManifestPart):
    """`k` of `n` uniformly sampled items were wrong; at confidence 1 - `delta` the risk is at most `upper_bound`."""

    n: Count
    k: Count
    epsilon: Probability
    delta: Probability
    upper_bound: Probability


class CertifiedThreshold(ManifestPart):
    """A threshold on the calibrated probability and why it may be used."""

    threshold: Probability
    certificate: Certificate


class CertifiedThresholds(ManifestPart):
    """The sides that could be certified; a side that is missing is off."""

    approve: CertifiedThreshold | None = None
    reject: dict[Label, CertifiedThreshold] = {}
