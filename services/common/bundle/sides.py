"""What the sides of a bundle are. A side is one automatic decision: to approve, or to reject as one label."""

from dataclasses import dataclass

from secondlook.common.contract.fields import Outcome
from secondlook.common.contract.policy import LabelName


@dataclass(frozen=True, slots=True, order=True)
class Side:
    """One automatic decision that a bundle may make. `label` is None for approvals, which are about all labels."""

    outcome: Outcome
    label: LabelName | None = None

    def __str__(self) -> str:
        """`approve`, `reject LABEL`: what people read, and what the database keeps."""
        return self.outcome if self.label is None else f"{self.outcome} {self.label}"

    @classmethod
    def named(cls, name: str) -> "Side":
        """The side of this name, as the database keeps it."""
        outcome, _, label = name.partition(" ")
        return APPROVE if outcome == "approve" else reject(label)


APPROVE = Side("approve")


def reject(label: LabelName) -> Side:
    """The side that rejects as this label."""
    return Side("reject", label)
