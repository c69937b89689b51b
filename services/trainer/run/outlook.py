"""What a run says to people about certification: what each side still needs, and which labels cannot help."""

from dataclasses import replace

from secondlook.common.bundle.certificates import side_delta
from secondlook.common.bundle.sides import APPROVE
from secondlook.trainer.data.dataset import IMPORTED, Dataset
from secondlook.trainer.evidence.certify import Certification, SideOff
from secondlook.trainer.evidence.forecast import Supply, missing
from secondlook.trainer.run.job import Job


def with_outlook(job: Job, found: Certification, items: int) -> Certification:
    """Of `items` certify items: each side that is off also says what it still needs, and about when it has it."""
    risk, supply = job.policy.risk, Supply(items, job.certify_a_week)
    delta = side_delta(risk, len(job.policy.labels), (job.attempt or 1) + found.spent)

    def needs(side_off: SideOff) -> SideOff:
        epsilon = risk.approve if side_off.side == APPROVE else risk.reject
        return replace(side_off, reason=f"{side_off.reason}; {missing(side_off, supply, epsilon, delta)}")

    return replace(found, off=tuple(map(needs, found.off)))


def taught_elsewhere(data: Dataset, found: Certification) -> tuple[str, ...]:
    """What to know first where labels were imported and sides are off: imported labels certify nothing."""
    imported = int((data.strata == IMPORTED).sum())
    if not imported or not found.off:
        return ()
    drawn = int(data.part("certify").sum())
    return (
        f"{imported:,} of {data.people:,} labelled texts were imported: they teach the model and certify nothing; a "
        f"side is certified on texts that the audit coin drew and people judged here, {drawn:,} so far",
    )
