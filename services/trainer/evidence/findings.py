"""What a look at the evidence found, as the run tells the trainer, which keeps it and publishes it with the figures."""

from pydantic import BaseModel, ConfigDict

from secondlook.common.contract.fields import Count
from secondlook.common.contract.quality import FrontierPoint, MeasuredEvidence
from secondlook.trainer.evidence.certify import SideEvidence

KEPT = ConfigDict(frozen=True, extra="ignore")  # a later version may know more


class SideFinding(BaseModel):
    """Of one side, named as the database names it: what is known, and why it is off with what it still needs."""

    model_config = KEPT

    side: str
    evidence: MeasuredEvidence | None = None
    reason: str | None = None
    outlook: str | None = None
    needed: Count | None = None


class Findings(BaseModel):
    """`items`: judged items that count as evidence for the model."""

    model_config = KEPT

    items: Count = 0
    sides: tuple[SideFinding, ...] = ()
    frontier: tuple[FrontierPoint, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def off(self) -> tuple[str, ...]:
        """Notes, then why sides are off and what each needs, in words that name the side."""
        return (*self.notes, *(f"{each.side}: {each.reason}; {each.outlook}" for each in self.sides if each.reason))


def measured(found: SideEvidence) -> MeasuredEvidence:
    """The evidence of a side as it is published."""
    return MeasuredEvidence(
        threshold=min(max(found.threshold, 0.0), 1.0), wrong=found.wrong, n=found.n, judged=found.judged,
        waiting=found.waiting, missing=found.missing, declared=found.declared, worst=found.worst, bound=found.bound,
    )  # fmt: skip
