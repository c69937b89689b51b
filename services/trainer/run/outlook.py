"""What a run says to people about certification: what each side still needs, and which labels cannot help."""

from secondlook.common.contract.quality import FrontierPoint
from secondlook.trainer.data.dataset import Dataset
from secondlook.trainer.data.splits import IMPORTED
from secondlook.trainer.evidence.certify import Certification
from secondlook.trainer.evidence.findings import Findings, SideFinding, measured
from secondlook.trainer.evidence.forecast import needed, outlook
from secondlook.trainer.evidence.sample import Sample
from secondlook.trainer.run.job import Job


def findings(
    job: Job, found: Certification, sample: Sample, points: tuple[FrontierPoint, ...], note: str | None
) -> Findings:
    """All that a look found; of each side that is off, also why, what it still needs, and about when it has it."""
    judged, risk = int((~sample.waiting & ~sample.gone).sum()), job.policy.risk
    off = {each.side: each for each in found.off}
    known = {each.side: each for each in found.evidence}
    sides = tuple(
        SideFinding(
            side=str(side),
            evidence=measured(known[side]) if side in known else None,
            reason=off[side].reason if side in off else None,
            outlook=outlook(off[side], risk, job.judged_a_week, of=judged) if side in off else None,
            needed=needed(off[side], risk, of=judged) if side in off else None,
        )
        for side in dict.fromkeys((*off, *known))
    )
    return Findings(items=judged, sides=sides, frontier=points, notes=(note,) if note else ())


def taught_elsewhere(data: Dataset, found: Certification) -> tuple[str, ...]:
    """What to know first where labels were imported and sides are off: imported labels certify nothing."""
    imported = int((data.strata == IMPORTED).sum())
    if not imported or not found.off:
        return ()
    judged = data.people - imported
    return (
        f"{imported:,} of {data.people:,} labelled texts were imported: they teach the model and certify nothing; a "
        f"side is certified on texts that people were asked about and judged here, {judged:,} so far",
    )
