"""The thresholds that a bundle may decide by, each with the counts that allow it."""

from pydantic import BaseModel, ConfigDict

from secondlook.common.contract.fields import Count
from secondlook.common.contract.policy import LabelName, Share


class ManifestPart(BaseModel):
    """A part of the manifest: it never changes, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Certificate(ManifestPart):
    """`k` of `n` uniformly sampled items were wrong; at confidence 1 - `delta` the risk is at most `upper_bound`."""

    n: Count
    k: Count
    epsilon: Share
    delta: Share
    upper_bound: Share


class CertifiedThreshold(ManifestPart):
    """A threshold on the calibrated probability and why it may be used."""

    threshold: Share
    certificate: Certificate


class CertifiedThresholds(ManifestPart):
    """The sides that could be certified; a side that is missing is off."""

    approve: CertifiedThreshold | None = None
    reject: dict[LabelName, CertifiedThreshold] = {}
